"""Where films may go: to a server of one's own, or to a third party on the user's word; and what a status means."""

import dataclasses
import os
import subprocess
import sys
from datetime import UTC, datetime

import bad_server
import numpy as np
import pytest

from chexreason.errors import UserError
from companion.replication.traces import backends, patience, status
from companion.replication.traces.answer import Then
from companion.replication.traces.models import same_model
from companion.replication.traces.settings import Teacher

LOCAL = Teacher(backend="openai", model="llama", base_url="http://127.0.0.1:8000/v1")
THEIRS = dataclasses.replace(LOCAL, base_url="https://8.8.8.8/v1")


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "http://127.0.0.1", "http://127.1/", "http://10.2.3.4:1", "https://192.168.1.9/v1",
     "http://172.31.0.1", "http://[::1]:8000/v1", "http://[fd00::5]/v1", "http://[::ffff:10.0.0.1]/"],
)  # fmt: skip
def test_this_machine_and_network_are_ones_own(url) -> None:
    assert backends.is_own(url)


@pytest.mark.parametrize(
    "url",
    ["https://8.8.8.8/v1", "https://localhost@8.8.8.8/v1", "https://172.32.0.1", "https://192.169.0.1", "https://11.0.0.1",
     "https://[::ffff:8.8.8.8]/v1", "https://[2001:4860:4860::8888]/", "https://0.0.0.0", "https://169.254.169.254/",
     "https://localhost.no-such-name.invalid/v1", "https://100.64.0.1/"],
)  # fmt: skip
def test_every_other_address_is_a_third_party(url) -> None:
    assert not backends.is_own(url)


def test_a_name_with_one_address_elsewhere_is_a_third_party(monkeypatch) -> None:
    found = [(2, 1, 6, "", ("10.0.0.1", 0)), (2, 1, 6, "", ("93.184.216.34", 0))]
    monkeypatch.setattr(backends.socket, "getaddrinfo", lambda *_, **__: found)
    assert not backends.is_own("http://both.example/v1")
    monkeypatch.setattr(backends.socket, "getaddrinfo", lambda *_, **__: found[:1])
    assert backends.is_own("http://both.example/v1")


@pytest.mark.parametrize("teacher", [Teacher(), THEIRS, dataclasses.replace(THEIRS, backend="gemini")])
def test_a_credentialed_film_goes_to_a_third_party_only_on_the_users_word(teacher) -> None:
    with pytest.raises(
        UserError, match=r"a third party, and teacher\.agreement: false\. Read physionet\.org/news/post/llm"
    ):
        backends.permit(teacher, credentialed=True)
    backends.permit(dataclasses.replace(teacher, agreement=True), credentialed=True)
    backends.permit(teacher, credentialed=False)


def test_a_server_of_ones_own_needs_no_word() -> None:
    backends.permit(LOCAL, credentialed=True)
    backends.permit(dataclasses.replace(LOCAL, backend="gemini"), credentialed=True)


def test_nothing_else_than_true_is_a_users_word() -> None:
    from chexreason.config import Override, overridden

    for value in ("yes", 1, "true"):
        given = [Override("teacher", "agreement", value, "for a test")]
        with pytest.raises(UserError, match=r"a value of type bool for teacher\.agreement"):
            overridden(given, "teacher", Teacher, "own")


@pytest.mark.parametrize(
    "url", ["", "localhost:8000/v1", "ftp://10.0.0.1/", "http://", "http://localhost:eight/v1", "http://[::1/v1"]
)
def test_what_is_no_address_is_told(url) -> None:
    with pytest.raises(UserError, match=r"the address of the teacher's server, got .*Set teacher\.base_url"):
        backends.address(dataclasses.replace(LOCAL, base_url=url))


def test_films_never_go_in_clear_text_and_keys_never_in_an_address() -> None:
    with pytest.raises(UserError, match="https for a server that is not on this network"):
        backends.address(dataclasses.replace(THEIRS, base_url="http://8.8.8.8/v1", agreement=True))
    for url in ("https://me:SECRET@8.8.8.8/v1", "https://8.8.8.8/v1?key=SECRET"):
        with pytest.raises(UserError, match="an address without a key in it") as caught:
            backends.address(dataclasses.replace(THEIRS, base_url=url))
        assert "SECRET" not in str(caught.value)


def test_a_key_comes_from_the_environment_and_goes_to_its_server_alone(monkeypatch) -> None:
    monkeypatch.delenv("CHEXREASON_TEACHER_KEY", raising=False)
    with pytest.raises(UserError, match=r"a key for 8\.8\.8\.8, got .*Export CHEXREASON_TEACHER_KEY=\.\.\."):
        backends.ready(THEIRS)
    monkeypatch.setenv("CHEXREASON_TEACHER_KEY", "SECRET")
    with bad_server.running(bad_server.right) as server:
        answer = backends.ready(dataclasses.replace(LOCAL, base_url=f"{server.root}/v1/"))(
            "known: Edema.\n are known: Edema.\n", PNG
        )
    assert server.seen[0].headers["Authorization"] == "Bearer SECRET"
    assert (answer.tokens_in, answer.tokens_out, answer.model) == (700, 100, "llama")


def test_a_redirect_leads_no_film_and_no_key_elsewhere(monkeypatch) -> None:
    monkeypatch.setenv("CHEXREASON_TEACHER_KEY", "SECRET")
    with bad_server.running(bad_server.right) as elsewhere:
        for code in (301, 302, 303, 307, 308):
            moved = bad_server.Reply(
                status=code, headers={"Location": f"{elsewhere.root}/v1/chat/completions"}, raw=b""
            )
            with (
                bad_server.running(lambda *_, moved=moved: moved) as server,
                pytest.raises(backends.openai.NoAnswer) as caught,
            ):
                backends.ready(dataclasses.replace(LOCAL, base_url=f"{server.root}/v1"))("are known: Edema.\n", PNG)
            assert caught.value.then is Then.STOP
        assert elsewhere.seen == []


def test_a_server_on_this_machine_is_reached_without_a_proxy(monkeypatch) -> None:
    with bad_server.running(bad_server.right) as proxy, bad_server.running(bad_server.right) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.root)
        monkeypatch.setenv("no_proxy", "")
        backends.ready(dataclasses.replace(LOCAL, base_url=f"{server.root}/v1"))("are known: Edema.\n", PNG)
        assert (len(proxy.seen), len(server.seen)) == (0, 1)


def test_no_server_at_all_is_no_connection() -> None:
    with pytest.raises(backends.openai.NoAnswer, match="no connection") as caught:
        backends.ready(dataclasses.replace(LOCAL, base_url="http://127.0.0.1:9/v1"))("x", PNG)
    assert caught.value.then is Then.AGAIN


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch) -> None:
    monkeypatch.setattr(backends.openai, "LONGEST", 1000)
    with (
        bad_server.running(lambda *_: bad_server.Reply("x" * 5000)) as server,
        pytest.raises(backends.openai.NoAnswer, match="more than 1,000 bytes"),
    ):
        backends.ready(dataclasses.replace(LOCAL, base_url=f"{server.root}/v1"))("are known: Edema.\n", PNG)


def test_the_temperature_is_sent_if_the_profile_sets_one() -> None:
    with bad_server.running(bad_server.right) as server:
        settings = dataclasses.replace(LOCAL, base_url=f"{server.root}/v1", temperature=0.0, max_tokens=77)
        backends.ready(settings)("are known: Edema.\n", PNG)
    assert (server.seen[0].body["temperature"], server.seen[0].body["max_tokens"]) == (0.0, 77)


def test_an_unknown_backend_is_told_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"a teacher\.backend among gemini, openai, got 'claude'"):
        backends.ready(dataclasses.replace(LOCAL, backend="claude"))


def test_without_its_library_gemini_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['google'] = None\n"
        "from companion.workflow.commands import main\nfrom companion.replication.traces import backends\n"
        "from companion.replication.traces.settings import Teacher\nfrom chexreason.errors import UserError\n"
        "try: backends.ready(Teacher())\nexcept UserError as error: print(error)"
    )
    env = {**os.environ, "GEMINI_API_KEY": "SECRET"}
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "run pip install google-genai, or set teacher.backend to openai" in shown.stdout
    assert "SECRET" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("code", "then"),
    [(500, Then.AGAIN), (503, Then.AGAIN), (529, Then.AGAIN), (408, Then.AGAIN), (429, Then.AGAIN), (400, Then.NEXT),
     (413, Then.NEXT), (422, Then.NEXT), (401, Then.STOP), (403, Then.STOP), (404, Then.STOP), (302, Then.STOP)],
)  # fmt: skip
def test_a_status_says_what_is_left_to_do(code, then) -> None:
    assert status.failed(code).then is then


def test_a_servers_own_words_are_shown_only_if_they_are_a_status() -> None:
    assert status.failed(429, word="RESOURCE_EXHAUSTED").reason == "HTTP 429 Too Many Requests (RESOURCE_EXHAUSTED)"
    for word in ("labels: Edema", "p10000032", None, {"a": 1}, "X" * 80):
        assert status.failed(429, word=word).reason == "HTTP 429 Too Many Requests"


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 24, 7, 28, 0, tzinfo=UTC)
    assert status.wait_of("Tue, 24 Nov 2026 07:28:30 GMT", now) == 30.0
    assert status.wait_of("Tue, 24 Nov 2026 07:28:30 -0000", now) == 30.0
    assert [status.wait_of(text) for text in (None, "", "nan", "inf", "-3", "1.5")] == [
        None,
        None,
        None,
        None,
        0.0,
        1.5,
    ]


def test_waits_double_are_spread_and_end_at_a_minute() -> None:
    waits = np.array([[patience.backoff(k, np.random.default_rng(seed)) for k in range(10)] for seed in range(200)])
    most = np.minimum(60.0, 2.0 ** np.arange(10))
    assert (waits <= most).all()
    assert (waits >= most / 2).all()
    assert (waits.std(axis=0) > most / 10).all()


@pytest.mark.parametrize(
    ("asked", "got"),
    [("gemini-2.5-pro", "gemini-2.5-pro"), ("gemini-2.5-pro", "models/gemini-2.5-pro-002"),
     ("gpt-4o", "gpt-4o-2024-08-06"),
     ("google/medgemma-27b-it", "medgemma-27b-it"), ("qwen", ""), ("gemini-2.5-pro", "gemini-2.5-pro-preview-06-05")],
)  # fmt: skip
def test_a_version_of_the_model_is_the_model(asked, got) -> None:
    same_model(asked, got)


@pytest.mark.parametrize(
    ("asked", "got"),
    [("gemini-2.5-pro", "gemini-3.8-flash"), ("gemini-2.5-flash", "gemini-2.5-flash-lite"), ("gpt-4", "gpt-4o"),
     ("gemini-flash-latest", "gemini-3.8-flash"), ("gemini-2.5-pro", "gemini-2.5")],
)  # fmt: skip
def test_another_model_is_not(asked, got) -> None:
    with pytest.raises(UserError, match="put another model in its place"):
        same_model(asked, got)


@pytest.mark.parametrize(
    "name", ["attempts", "requests_per_minute", "parallel", "timeout_s", "max_tokens", "film_pixels"]
)
def test_a_setting_below_its_least_is_refused(name) -> None:
    with pytest.raises(UserError, match=rf"1 or more for teacher\.{name}, got 0"):
        Teacher(**{name: 0})
    Teacher(retries=0, thinking_tokens=None, temperature=0.0, price_in=0.0)
    with pytest.raises(UserError, match=r"0 or more for teacher\.price_in, got nan"):
        Teacher(price_in=float("nan"))


def _png() -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    return file.getvalue()


PNG = _png()
