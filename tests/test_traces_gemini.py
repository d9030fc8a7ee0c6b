"""Gemini through its own library, against a server that misbehaves; needs google-genai (`pip install google-genai`)."""

import dataclasses

import bad_server
import pytest

pytest.importorskip("google.genai", reason="google-genai is an extra (paper)")

from taught import with_teacher

from chexreason import cohorts, config, prompts, traces
from chexreason.config import DataPlace
from chexreason.errors import UserError
from chexreason.recipe import Sizes
from companion.replication.traces import backends, patience, write
from companion.replication.traces.settings import Teacher

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FREE, N = prompts.get("free_reasoning"), 4


@pytest.fixture
def run(real_tree, tmp_path, monkeypatch):
    """Write traces against a server that behaves so; gives the tally and the server."""
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.01)
    for name in (*backends.gemini.VERTEX, "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "SECRET")
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    settings = Teacher(requests_per_minute=60_000, timeout_s=3600, parallel=1, retries=3)
    profile = dataclasses.replace(made, data={"mimic": DataPlace(real_tree)}, sizes=Sizes(sft=N, rl=2))

    def act(behave, **changes):
        with bad_server.running(behave) as server:
            mine = dataclasses.replace(settings, base_url=server.root, **changes)
            own = with_teacher(profile, mine)
            chosen = cohorts.drawn(own, "sft")
            tally = write.write(chosen, FREE, own, backends.ready(mine), progress=False)
            assert len(traces.of(chosen, FREE, own)) == N or tally.written < N
        return tally, server

    return act


def test_a_good_server_is_asked_as_the_settings_say(run) -> None:
    tally, server = run(bad_server.right, thinking_tokens=256, max_tokens=100, temperature=0.5, film_pixels=32 * 32)
    assert (tally.written, tally.tokens_in, tally.tokens_out) == (N, 700 * N, 100 * N)
    seen = server.seen[0]
    assert seen.path.endswith("/models/gemini-2.5-pro:generateContent")
    assert {name.lower(): value for name, value in seen.headers.items()}["x-goog-api-key"] == "SECRET"
    asked = seen.body["generationConfig"]
    assert (asked["maxOutputTokens"], asked["temperature"]) == (356, 0.5)
    assert asked["thinkingConfig"] == {"thinkingBudget": 256} or asked["thinkingConfig"] == {"thinking_budget": 256}
    assert seen.film.size == (32, 32)


def test_what_is_not_set_is_not_sent(run) -> None:
    _, server = run(bad_server.right, thinking_tokens=None, temperature=None)
    assert not {"temperature", "thinkingConfig"} & set(server.seen[0].body["generationConfig"])


DENIED = b'{"error": {"status": "PERMISSION_DENIED", "message": "SECRET key"}}'
RETRY_INFO = b'{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "0.2s"}]}}'


@pytest.mark.parametrize(
    "bad",
    [
        {"status": 500, "raw": b"{}"}, {"status": 503, "raw": b"overloaded"}, {"status": 429, "raw": RETRY_INFO},
        {"status": 429, "raw": b"{}", "headers": {"Retry-After": "0.1"}}, {"raw": b'{"candidates": [{"cont'},
        {"raw": b"<html>"}, {"raw": b"{}"}, {"raw": b"[]"}, {"text": "x", "cut": 30}, {"text": "x", "cut": 0},
        {"text": "x", "wait": 2.5}, {"raw": b'{"candidates": 7}'}, {"raw": b'"x"'},
    ],
)  # fmt: skip
def test_a_request_that_fails_is_sent_again(run, bad) -> None:
    def behave(seen, number):
        return bad_server.Reply(**bad) if number == 1 else bad_server.right(seen, number)

    late = "wait" in bad
    tally, server = run(behave, timeout_s=2 if late else 3600)
    assert (tally.written, dict(tally.faults)) == (N, {})
    # On a slow machine a good answer may be late, too, and is asked for again.
    assert len(server.seen) >= N + 1 if late else len(server.seen) == N + 1


def test_wrong_cut_and_blocked_answers_are_turned_down(run) -> None:
    def behave(seen, number):
        wrong = bad_server.Reply(seen.right.replace("<solution>", "<solution>Fracture, Edema, Pneumonia, "))
        cut = bad_server.Reply(seen.right, finish="length")
        blocked = bad_server.Reply(finish="content_filter")
        return {1: wrong, 2: cut, 3: blocked}.get(number) or bad_server.right(seen, number)

    tally, server = run(behave)
    assert (tally.written, len(server.seen)) == (N, N + 3)
    assert set(tally.faults) == {
        "other labels than those recorded", "cut off at the length limit", "refused by the server's filters"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"status": 403, "raw": DENIED}, "HTTP 403 Forbidden .PERMISSION_DENIED."),
        ({"status": 307, "headers": {"Location": "http://127.0.0.1:9/"}, "raw": b""}, "HTTP 307"),
        ({"text": "x", "model": "gemini-3.8-flash"}, "answers of gemini-2.5-pro, got one of 'gemini-3.8-flash'"),
    ],
)  # fmt: skip
def test_what_no_repeat_can_mend_ends_the_run_at_once(run, bad, told) -> None:
    seen = []

    def behave(request, number):
        seen.append(number)
        return bad_server.Reply(**bad)

    with pytest.raises(UserError, match=told) as caught:
        run(behave)
    assert len(seen) == 1
    assert "SECRET" not in str(caught.value)


def test_on_vertex_the_login_stands_for_a_key(monkeypatch) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # or the library looks for Google's machines around this one
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert backends.gemini.on_vertex()
    with pytest.raises(UserError, match="a log-in, a project and a place for Vertex AI"):
        backends.ready(Teacher(agreement=True))
