"""How often the teacher is asked, and how a request that failed is sent again."""

import threading
import time
from collections.abc import Callable

import numpy as np

from companion.replication.traces.answer import Answer, NoAnswer, Then

#: Seconds before the first repeat, doubled with each further one up to the most.
FIRST_WAIT, MOST_WAIT = 1.0, 60.0


class Stopped(Exception):
    """The writing has been stopped while a request waited for its turn."""


class Pace:
    """Starts at most so many requests a minute, evenly, over all threads; a server's wish to wait holds them all."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stop = threading.Event()
        self._gap, self._clock = 60.0 / per_minute, clock
        self._lock, self._next = threading.Lock(), clock()

    def turn(self) -> None:
        """Wait for one's turn. Raises Stopped once `stop` is set."""
        with self._lock:
            mine = max(self._next, self._clock())
            self._next = mine + self._gap
        self.rest(mine - self._clock())

    def hold(self, seconds: float) -> None:
        """Let no request start for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)

    def rest(self, seconds: float) -> None:
        """Wait without a turn; raises Stopped once `stop` is set."""
        if self.stop.wait(max(0.0, seconds)):
            raise Stopped


def patiently(ask: Callable[[], Answer], pace: Pace, retries: int, rng: np.random.Generator) -> Answer:
    """The answer to one request, sent up to `retries` times again. Raises its last NoAnswer, or Stopped."""
    for repeat in range(retries + 1):
        pace.turn()
        try:
            return ask()
        except NoAnswer as none:
            if none.then is not Then.AGAIN or repeat == retries:
                raise
            if none.wait is None:
                pace.rest(backoff(repeat, rng))
            else:
                pace.hold(none.wait)
    raise AssertionError("the last repeat returns or raises")


def backoff(repeat: int, rng: np.random.Generator) -> float:
    """Seconds before a repeat: doubling, and spread at random over their upper half so that threads part."""
    most = min(MOST_WAIT, FIRST_WAIT * 2.0**repeat)
    return float(rng.uniform(most / 2, most))
