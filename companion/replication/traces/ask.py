"""One question to the teacher over HTTP: OpenAI's chat completions, by the standard library; tenacity repeats it.

Three habits of HTTP clients would send a patient's image further than meant, and are off: a redirect is never followed,
a server on this machine or network is never reached through a proxy, and the key goes nowhere else. An error's reason
holds nothing that the server wrote: it may repeat the request.
"""

import base64
import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tenacity

from companion.replication.traces.teacher import Teacher

#: Bytes of a response at most; an answer of a thousand tokens has some five thousand.
LONGEST = 4_000_000
#: Seconds between two attempts: at random below a bound that doubles up to a minute, so that threads part.
BACKOFF = tenacity.wait_random_exponential(multiplier=2, max=60)
#: A server that asks for a longer wait than this is closed for the day.
LONGEST_WAIT = 600.0
#: Statuses below 500 after which the same request may succeed, and those after which every other one would fail: key,
#: credit, right, address or model, a proxy's password.
PASSING, FINAL = (408, 409, 425, 429), (401, 402, 403, 404, 407)


@dataclass(frozen=True)
class Answer:
    """What a teacher wrote. Its text may be anything: it is judged by `check.fault` and never trusted."""

    text: str
    model: str = ""  # as the server names it; "" if it does not
    cut: bool = False  # stopped at its length limit
    refused: bool = False  # blocked by the server's own filters
    tokens_in: int = 0
    tokens_out: int = 0  # thinking included


class NoAnswer(Exception):
    """A request without an answer; another study's may do better, unless `final`.

    With `again` the same request may be answered later, after `wait` seconds if the server said so.
    """

    def __init__(self, reason: str, *, again: bool = False, wait: float | None = None, final: bool = False) -> None:
        super().__init__(reason)
        self.again, self.wait, self.final = again, wait, final


#: Instruction and image (PNG) -> answer; raises NoAnswer. Called from several threads.
Ask = Callable[[str, bytes], Answer]


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an error."""

    def redirect_request(self, *words: Any, **named: Any) -> None:
        return None


def asker(teacher: Teacher, key: str) -> Ask:
    """A function that asks `teacher.model` at `teacher.base_url` once; without a key it sends none."""
    opener = urllib.request.build_opener(_Stay, *([urllib.request.ProxyHandler({})] if teacher.local else []))
    headers = {"Content-Type": "application/json", "User-Agent": "chexreason"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    address = f"{teacher.base_url.rstrip('/')}/chat/completions"

    def ask(instruction: str, image: bytes) -> Answer:
        body = json.dumps(_body(teacher, instruction, image)).encode()
        request = urllib.request.Request(address, body, headers, method="POST")
        try:
            return _answer(_received(opener, request, teacher.timeout_s))
        except urllib.error.HTTPError as error:
            error.close()
            raise failed(error.code, error.headers.get("Retry-After")) from None
        except (http.client.HTTPException, OSError) as error:
            late = isinstance(getattr(error, "reason", error), TimeoutError)
            raise NoAnswer(f"no answer within {teacher.timeout_s} s" if late else "no connection", again=True) from None

    return ask


def repeated(ask: Ask, retries: int, stop: threading.Event) -> Ask:
    """`ask`, sent up to `retries` times again while that may help and `stop` is not set."""

    def once(instruction: str, image: bytes) -> Answer:
        if stop.is_set():  # also after a wait that it has ended
            raise NoAnswer("stopped", final=True)
        return ask(instruction, image)

    def wait(state: tenacity.RetryCallState) -> float:
        asked = getattr(state.outcome.exception() if state.outcome else None, "wait", None)
        return BACKOFF(state) if asked is None else float(asked)

    again = tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, NoAnswer) and error.again),
        stop=tenacity.stop_after_attempt(retries + 1), wait=wait, sleep=tenacity.sleep_using_event(stop), reraise=True,
    )  # fmt: skip
    return again(once)


def failed(code: int, retry_after: str | None = None) -> NoAnswer:
    """The NoAnswer for an HTTP status and a Retry-After header in seconds (RFC 9110, section 10.2.3).

    >>> failed(429, "7").wait, failed(401)
    (7.0, NoAnswer('HTTP 401 Unauthorized'))
    """
    reason = f"HTTP {code} {http.client.responses.get(code, 'of no known meaning')}"
    if code in FINAL:
        return NoAnswer(reason, final=True)
    if code < 400:
        return NoAnswer(f"{reason}: images are sent to the address in the profile and to no other", final=True)
    seconds = float(retry_after) if re.fullmatch(r"\d{1,9}(\.\d+)?", retry_after or "") else None  # type: ignore[arg-type]
    if seconds is not None and seconds > LONGEST_WAIT:
        return NoAnswer(f"{reason}: the server asks to wait {seconds / 60:.0f} minutes", final=True)
    return NoAnswer(reason, again=code in PASSING or code >= 500, wait=seconds)


def _body(teacher: Teacher, instruction: str, image: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": instruction}]
    messages = [{"role": "user", "content": content}]
    effort = {"reasoning_effort": teacher.reasoning_effort} if teacher.reasoning_effort else {}
    return {"model": teacher.model, "messages": messages, "max_tokens": teacher.max_tokens, **effort}


def _received(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> bytes:
    """The whole response. The socket's own limit is for each read, so a server that drips would never be late."""
    late, received = time.monotonic() + timeout, b""
    with opener.open(request, timeout=timeout) as response:
        while chunk := response.read1(65_536):
            received += chunk
            if time.monotonic() > late:
                raise TimeoutError
            if len(received) > LONGEST:
                raise NoAnswer(f"an answer of more than {LONGEST:,} bytes")
    return received


def _answer(received: bytes) -> Answer:
    """What a chat completion says; NoAnswer if it is none."""
    try:
        response = json.loads(received)
        choice, usage, model = response["choices"][0], response.get("usage") or {}, response.get("model")
        text, finish = choice["message"].get("content"), choice.get("finish_reason")
        refused = finish == "content_filter" or bool(choice["message"].get("refusal"))
        sent, both, out = (int(usage.get(f"{kind}_tokens") or 0) for kind in ("prompt", "total", "completion"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise NoAnswer("a response that is no chat completion", again=True) from None
    return Answer(
        text if isinstance(text, str) else "", model if isinstance(model, str) else "", cut=finish == "length",
        refused=refused, tokens_in=sent, tokens_out=max(out, both - sent),  # Google counts thinking in the total alone
    )  # fmt: skip
