"""What a server gave back for one request: an answer, or why there is none."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Answer:
    """What a teacher wrote. Its text may be anything: it is judged by `check.fault` and never trusted."""

    text: str
    model: str = ""  # as the server names it; "" if it does not
    cut: bool = False  # stopped at its length limit
    refused: bool = False  # blocked by the server's own filters
    tokens_in: int = 0
    tokens_out: int = 0  # thinking included


class Then(StrEnum):
    """What is left to do after a request without an answer."""

    AGAIN = "again"  # the same request may be answered later
    NEXT = "next"  # this request never, another may
    STOP = "stop"  # no request will be


class NoAnswer(Exception):
    """A request that brought no answer. The reason holds nothing that the server wrote: it may repeat the request."""

    def __init__(self, reason: str, then: Then = Then.AGAIN, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.then = reason, then
        self.wait = wait  # seconds that the server asks to wait


#: Instruction and film (PNG) -> answer; raises NoAnswer. Called from several threads.
Ask = Callable[[str, bytes], Answer]
