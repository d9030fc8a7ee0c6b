"""How a teacher model is asked for the traces of real films (section 3.2.1).

The paper says: Gemini 2.5, given film and labels, told to reason as if on its own. The rest is ours. These
settings stay out of a run's settings and digest: what they lead to is the traces, and a run keeps a digest of those.
"""

from dataclasses import dataclass, fields

from chexreason.config import Profile, overridden
from chexreason.errors import UserError
from chexreason.settings import UNREAD, assumed


@dataclass(frozen=True)
class Teacher:
    """Which model writes the traces, where, how it is asked and what it costs; UserError for a value out of range."""

    backend: str = assumed("gemini", "the paper's teacher is Gemini", "gemini, or openai for any server that speaks it")
    model: str = assumed("gemini-2.5-pro", "3.2.1 says Gemini 2.5 and not which of them", "the model that is asked")
    base_url: str = assumed("", "Google's own", "the server's address, http://localhost:8000/v1 say")
    agreement: bool = assumed(
        False, "only you can know", "true: your data use agreement lets films and labels go to this server"
    )
    mix: bool = assumed(False, "the paper has one teacher", "true: another teacher may write what is missing")
    film_pixels: int = assumed(
        768 * 768, f"{UNREAD}; as one of Gemini's tiles has", "pixels of a film that is sent, at most"
    )
    temperature: float | None = assumed(None, UNREAD, "sampling temperature; null is the model's own")
    max_tokens: int = assumed(1024, UNREAD, "tokens of an answer at most, thinking aside")
    thinking_tokens: int | None = assumed(
        1024, f"{UNREAD}; bounds the price", "Gemini's thinking budget; null is the model's own"
    )
    attempts: int = assumed(4, UNREAD, "answers to one study that may be rejected before it is given up")
    requests_per_minute: int = assumed(60, "below a paying user's limit", "requests started in a minute, at most")
    parallel: int = assumed(4, "an answer takes many seconds", "requests under way at the same time")
    timeout_s: int = assumed(120, "thinking takes its time", "seconds until a request counts as failed")
    retries: int = assumed(6, "with doubling waits some two minutes", "times that a failed request is sent again")
    failures_in_a_row: int = assumed(5, "a server that is down stays down", "studies without an answer before stopping")
    price_in: float = assumed(
        1.25,
        "gemini-2.5-pro: ai.google.dev/gemini-api/docs/pricing, copied by api-evangelist 2026-09-20",
        "USD a million tokens sent",
    )
    price_out: float = assumed(
        10.0,
        "gemini-2.5-pro, thinking included: lists by others, April 2026; not read from Google's page",
        "USD a million tokens received",
    )

    def __post_init__(self) -> None:
        zero = ("retries", "thinking_tokens", "temperature", "price_in", "price_out")
        for entry in fields(self):
            value, least = getattr(self, entry.name), 0 if entry.name in zero else 1
            if isinstance(value, int | float) and not isinstance(value, bool) and not value >= least:
                raise UserError(f"{least} or more for teacher.{entry.name}", repr(value), "mend the profile")


def teacher_of(profile: Profile) -> Teacher:
    """The teacher's settings with the profile's overrides; UserError for an unknown one, another type or range."""
    return overridden(profile.overrides, "teacher", Teacher, profile.name)
