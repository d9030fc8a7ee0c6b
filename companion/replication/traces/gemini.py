"""Gemini through Google's library google-genai: the Gemini API with a key, or Vertex AI with Google Cloud's own log-in.

The library is an extra (`paper`) and is imported here only. Its own retries are off: `patience` has them, and knows
of all requests. Its errors hold the request, so nothing of them is passed on but the status.
"""

import importlib
import os
from typing import Any

from chexreason.errors import UserError
from companion.replication.traces.answer import Answer, Ask, NoAnswer
from companion.replication.traces.settings import Teacher
from companion.replication.traces.status import failed

#: Reasons to stop that mean a filter of the server's.
BLOCKED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER")
#: The library's switches for Vertex AI, where Google Cloud's log-in stands for a key.
VERTEX = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")


def on_vertex() -> bool:
    """Whether the environment asks for Vertex AI, read as the library reads it."""
    return any(os.environ.get(name, "").lower() in ("true", "1") for name in VERTEX)


def make(teacher: Teacher, key: str, local: bool) -> Ask:
    """A function that asks `teacher.model`; raises UserError if the library is not installed or cannot start."""
    try:
        from google import genai
        from google.auth.exceptions import GoogleAuthError
        from google.genai import errors, types
    except ImportError:
        raise UserError(
            "the library google-genai for the teacher's backend gemini", "an environment without it",
            "run pip install google-genai, or set teacher.backend to openai",
        ) from None  # fmt: skip
    options = types.HttpOptions(
        base_url=teacher.base_url or None,
        timeout=1000 * teacher.timeout_s,
        # The library follows redirects unless told not to; and on the way to this machine there is no proxy.
        client_args={"follow_redirects": False} | ({"trust_env": False} if local else {}),
    )
    try:
        client = genai.Client(api_key=key or None, vertexai=None if key else True, http_options=options)
    except (ValueError, GoogleAuthError):
        raise UserError(
            "a log-in, a project and a place for Vertex AI", "none that google-genai accepts",
            "run gcloud auth application-default login; export GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION",
        ) from None  # fmt: skip
    budget = teacher.thinking_tokens
    config = types.GenerateContentConfig(
        max_output_tokens=teacher.max_tokens + (budget or 0),
        temperature=teacher.temperature,
        thinking_config=None if budget is None else types.ThinkingConfig(thinking_budget=budget),
        candidate_count=1,
    )

    def ask(instruction: str, film: bytes) -> Answer:
        parts = [types.Part.from_bytes(data=film, mime_type="image/png"), types.Part.from_text(text=instruction)]
        try:
            content = types.Content(role="user", parts=parts)
            response = client.models.generate_content(model=teacher.model, contents=content, config=config)
        except errors.APIError as error:
            raise failed(error.code or 500, _wait(error), error.status) from None
        except _late() as error:
            raise NoAnswer(f"no answer within {teacher.timeout_s} s" if _is_late(error) else "no connection") from None
        except (ValueError, TypeError, LookupError, AttributeError):  # how the library fails on what it does not know
            raise NoAnswer("a response that is none of Gemini's") from None
        return _answer(response)

    return ask


def _wait(error: Any) -> str | None:
    """The seconds to wait, from the header or from where Google puts them: RetryInfo in the body, "34s" say."""
    if header := (getattr(error.response, "headers", None) or {}).get("Retry-After"):
        return str(header)
    try:
        delays = [one["retryDelay"] for one in error.details["error"]["details"] if "retryDelay" in one]
        return str(delays[0]).removesuffix("s")
    except (LookupError, TypeError):
        return None


def _late() -> tuple[type[Exception], ...]:
    """The errors of the HTTP client that the library uses: httpx2, in older versions httpx."""
    found: list[type[Exception]] = [OSError]
    for name in ("httpx2", "httpx"):
        try:
            found.append(importlib.import_module(name).HTTPError)
        except ImportError:
            continue
    return tuple(found)


def _is_late(error: Exception) -> bool:
    return "Timeout" in type(error).__name__


def _answer(response: Any) -> Answer:
    """What a response says: its first candidate, without the thoughts."""
    used, model = response.usage_metadata, response.model_version or ""
    tokens_in = (used.prompt_token_count or 0) if used else 0
    tokens_out = ((used.candidates_token_count or 0) + (used.thoughts_token_count or 0)) if used else 0
    if not response.candidates:
        if response.prompt_feedback is None:
            raise NoAnswer("a response that is none of Gemini's")
        return Answer("", model, refused=True, tokens_in=tokens_in, tokens_out=tokens_out)
    first = response.candidates[0]
    parts = (first.content.parts if first.content else None) or []
    text = "".join(part.text for part in parts if isinstance(part.text, str) and not part.thought)
    why = first.finish_reason.name if first.finish_reason else ""
    return Answer(text, model, why == "MAX_TOKENS", why in BLOCKED, tokens_in, tokens_out)
