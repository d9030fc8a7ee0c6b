"""What an HTTP status means for the request that got it, said without a word of the server's."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from companion.replication.traces.answer import NoAnswer, Then

#: Statuses after which the same request may succeed, beside those from 500 on.
PASSING = (408, 409, 425, 429)
#: Statuses after which every other request would fail too, and what they mean.
FINAL = {
    401: "the key is not accepted",
    402: "the account has no credit",
    403: "the key may not do this",
    404: "no such address or model",
    407: "a proxy wants a password",
}
#: A server that asks for a longer wait than this has closed for the day.
LONGEST_WAIT = 600.0
#: A status word such as RESOURCE_EXHAUSTED, the only text of a server that is shown.
_WORD = re.compile(r"[A-Z][A-Z_]{2,40}")


def failed(code: int, retry_after: str | None = None, word: object = "") -> NoAnswer:
    """The NoAnswer for a status; `word` is the server's own name for it, shown if it is one of capitals.

    >>> failed(503).reason, failed(429, "7", "RESOURCE_EXHAUSTED").wait
    ('HTTP 503 Service Unavailable', 7.0)
    """
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = "of no known meaning"
    reason = f"HTTP {code} {phrase}"
    if isinstance(word, str) and _WORD.fullmatch(word):
        reason += f" ({word})"
    if code in FINAL:
        return NoAnswer(f"{reason}: {FINAL[code]}", Then.STOP)
    if code < 400:
        return NoAnswer(f"{reason}: films are sent to the address in the profile and to no other", Then.STOP)
    if code not in PASSING and code < 500:
        return NoAnswer(reason, Then.NEXT)
    wait = wait_of(retry_after)
    if wait is not None and wait > LONGEST_WAIT:
        return NoAnswer(f"{reason}: the server asks to wait {wait / 60:.0f} minutes", Then.STOP)
    return NoAnswer(reason, Then.AGAIN, wait)


def wait_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, section 10.2.3: seconds or a date); None if it says nothing.

    >>> wait_of("2"), wait_of("soon"), wait_of("Wed, 21 Oct 2015 07:28:00 GMT")
    (2.0, None, 0.0)
    """
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            then = parsedate_to_datetime(retry_after or "")
        except ValueError:
            return None
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
