"""Where images may go: to a server of one's own, or to a third party on the user's word; and what a status means."""

import dataclasses
import io

import bad_server
import pytest
from PIL import Image

from chexreason.config import Override, overridden
from chexreason.errors import UserError
from companion.replication.traces import ask, teacher
from companion.replication.traces.ask import NoAnswer, asker
from companion.replication.traces.check import same_model
from companion.replication.traces.teacher import Teacher, is_own, permit

LOCAL = Teacher(model="llama", base_url="http://127.0.0.1:8000/v1")
THEIRS = dataclasses.replace(LOCAL, base_url="https://8.8.8.8/v1")
_FILE = io.BytesIO()
Image.new("L", (8, 8)).save(_FILE, "PNG")
QUESTION = ("are known: Edema.\n", _FILE.getvalue())


def at(server, key="", **changes):
    """Asks a running server one question."""
    return asker(dataclasses.replace(LOCAL, base_url=f"{server.root}/v1/", **changes), key)(*QUESTION)


OWN = ["http://localhost:8000/v1", "http://127.0.0.1", "http://127.1/", "http://10.2.3.4:1", "https://192.168.1.9/v1",
       "http://172.31.0.1", "http://[::1]:8000/v1", "http://[fd00::5]/v1", "http://[::ffff:10.0.0.1]/"]  # fmt: skip
OTHERS = ["https://8.8.8.8/v1", "https://localhost@8.8.8.8/v1", "https://172.32.0.1", "https://192.169.0.1",
          "https://11.0.0.1", "https://[::ffff:8.8.8.8]/v1", "https://[2001:4860:4860::8888]/", "https://0.0.0.0",
          "https://169.254.169.254/", "https://localhost.no-such-name.invalid/v1", "https://100.64.0.1/", "", "http://",
          "http://[::1/v1"]  # fmt: skip


def test_this_machine_and_network_are_ones_own_and_every_other_address_a_third_party() -> None:
    assert [url for url in [*OWN, *OTHERS] if is_own(url)] == OWN


def test_a_name_with_one_address_elsewhere_is_a_third_party(monkeypatch) -> None:
    found = [(2, 1, 6, "", ("10.0.0.1", 0)), (2, 1, 6, "", ("93.184.216.34", 0))]
    monkeypatch.setattr(teacher.socket, "getaddrinfo", lambda *_, **__: found)
    assert not is_own("http://both.example/v1")
    monkeypatch.setattr(teacher.socket, "getaddrinfo", lambda *_, **__: found[:1])
    assert is_own("http://both.example/v1")


@pytest.mark.parametrize("settings", [Teacher(), THEIRS])
def test_a_credentialed_image_goes_to_a_third_party_only_on_the_users_word(settings, monkeypatch) -> None:
    monkeypatch.setenv(teacher.KEY, "SECRET")
    with pytest.raises(UserError, match=r"a third party, and teacher\.agreement: false\. Read physionet\.org"):
        permit(settings, credentialed=True)
    assert permit(dataclasses.replace(settings, agreement=True), credentialed=True) == "SECRET"
    permit(settings, credentialed=False)


def test_a_server_of_ones_own_needs_neither_word_nor_key(monkeypatch) -> None:
    monkeypatch.delenv(teacher.KEY, raising=False)
    assert permit(LOCAL, credentialed=True) == ""
    with pytest.raises(UserError, match=rf"a key for 8\.8\.8\.8, got .*Export {teacher.KEY}=\.\.\."):
        permit(THEIRS, credentialed=False)


def test_nothing_else_than_true_is_a_users_word() -> None:
    for value in ("yes", 1, "true"):
        given = [Override("teacher", "agreement", value, "for a test")]
        with pytest.raises(UserError, match=r"teacher\.agreement"):
            overridden(given, "teacher", Teacher, "own")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        *((url, r"the teacher's address of host, port and path, got .*Set teacher\.base_url") for url in (
            "", "localhost:8000/v1", "ftp://10.0.0.1/", "http://", "http://localhost:eight/v1", "http://[::1/v1")),
        ("http://8.8.8.8/v1", "https for a server that is not on this network"),
        ("https://me:SECRET@8.8.8.8/v1", "another, not shown since it may hold a key"),
        *((f"https://8.8.8.8/v1{key}", "another, not shown since it may hold a key") for key in (
            "?key=SECRET", "#key=SECRET", ";key=SECRET", "%3Fkey%3DSECRET", "/key=SECRET")),
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_and_no_key_in_it_is_shown(url, told) -> None:
    with pytest.raises(UserError, match=told) as caught:
        permit(dataclasses.replace(THEIRS, base_url=url, agreement=True), credentialed=True)
    assert "SECRET" not in str(caught.value)


def test_what_is_sent_and_read() -> None:
    with bad_server.running(bad_server.right) as server:
        answer = at(server, "SECRET", max_tokens=77)
        at(server, reasoning_effort=None)
    first, second = server.seen
    assert (first.path, first.headers["Authorization"]) == ("/v1/chat/completions", "Bearer SECRET")
    assert (first.body["model"], first.body["max_tokens"], first.body["reasoning_effort"]) == ("llama", 77, "low")
    assert (answer.tokens_in, answer.tokens_out, answer.model) == (700, 100, "llama")
    assert "Authorization" not in second.headers
    assert "reasoning_effort" not in second.body


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_leads_no_image_and_no_key_elsewhere(code) -> None:
    with bad_server.running(bad_server.right) as elsewhere:
        place = {"Location": f"{elsewhere.root}/v1/chat/completions"}
        moved = bad_server.Reply(status=code, headers=place, raw=b"")
        with bad_server.running(lambda *_: moved) as server, pytest.raises(NoAnswer, match="and to no other"):
            at(server, "SECRET")
        assert elsewhere.seen == []


def test_a_server_on_this_machine_is_reached_without_a_proxy(monkeypatch) -> None:
    with bad_server.running(bad_server.right) as proxy, bad_server.running(bad_server.right) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.root)
        monkeypatch.setenv("no_proxy", "")
        at(server)
        assert (len(proxy.seen), len(server.seen)) == (0, 1)


def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch) -> None:
    monkeypatch.setattr(ask, "LONGEST", 1000)
    with (
        bad_server.running(lambda *_: bad_server.Reply("x" * 5000)) as server,
        pytest.raises(NoAnswer, match="more than 1,000 bytes"),
    ):
        at(server)


def test_a_status_says_what_is_left_to_do() -> None:
    kinds = {(True, False): (500, 503, 529, 408, 429), (False, False): (400, 413, 422), (False, True): (401, 404, 302)}
    for kind, codes in kinds.items():
        for error in map(ask.failed, codes):
            assert (error.again, error.final) == kind, error


def test_a_wait_that_is_no_number_of_seconds_is_ours_to_choose() -> None:
    for header in (None, "", "nan", "inf", "-3", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400):
        assert ask.failed(429, header).wait is None, header
    assert ask.failed(429, "1.5").wait == 1.5


VERSIONS = [("gemini-2.5-pro", "gemini-2.5-pro"), ("gemini-2.5-pro", "models/gemini-2.5-pro-002"), ("qwen", ""),
            ("gpt-4o", "gpt-4o-2024-08-06"), ("google/medgemma-27b-it", "medgemma-27b-it"),
            ("gemini-2.5-pro", "gemini-2.5-pro-preview-06-05")]  # fmt: skip
ANOTHER = [("gemini-2.5-pro", "gemini-3.8-flash"), ("gemini-2.5-flash", "gemini-2.5-flash-lite"), ("gpt-4", "gpt-4o"),
           ("gemini-flash-latest", "gemini-3.8-flash"), ("gemini-2.5-pro", "gemini-2.5")]  # fmt: skip


def test_a_version_of_the_model_is_the_model_and_another_model_is_not() -> None:
    for asked, got in VERSIONS:
        same_model(asked, got)
    for asked, got in ANOTHER:
        with pytest.raises(UserError, match="put another model in its place"):
            same_model(asked, got)
