"""The command line: one line for a user's mistake, the right exit status, and no wait for torch."""

import errno
import subprocess
import sys

import pytest

from chexreason import __version__, config
from chexreason.errors import UserError
from companion.report.settings import settings_table
from companion.workflow import commands as cli


def failing(error: BaseException):
    def act(words):
        """Fail."""
        raise error

    return act


def test_a_users_mistake_is_one_line_and_status_2(monkeypatch, capsys):
    monkeypatch.setattr(cli, "show_profiles", failing(UserError("a folder", "nothing", "make one")))
    assert cli.main(["profiles"]) == 2
    assert capsys.readouterr().err == "chexreason: Expected a folder, got nothing. Make one\n"


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr(cli, "show_profiles", failing(KeyboardInterrupt()))
    assert cli.main(["profiles"]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line(monkeypatch, capsys, code):
    monkeypatch.setattr(cli, "show_profiles", failing(OSError(code, "No space left on device", "metrics.csv")))
    assert cli.main(["profiles"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("chexreason: Expected room on the disk, got No space left on device at metrics.csv;")
    assert told.count("\n") == 1


def test_our_own_mistake_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "show_profiles", failing(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        cli.main(["profiles"])
    monkeypatch.setattr(cli, "show_profiles", failing(ConnectionError(errno.ECONNRESET, "reset")))
    with pytest.raises(ConnectionError):
        cli.main(["profiles"])


def test_what_may_not_be_read_or_written_is_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli, "show_profiles", failing(PermissionError(errno.EACCES, "Permission denied", "x")))
    assert cli.main(["profiles"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "chexreason: Expected a file or folder that may be read and written, got Permission denied at x; "
        "change its permissions or choose another place and run the same command again\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["run", "sfft", "--profile", "smoke"],
            "Expected a stage among generalization, grpo, prompting, sft, got 'sfft'",
        ),
        (["run", "sft", "--profile", "small"], "Expected a profile among"),
        (["sft", "--profile", "smoke", "--seed", "-1"], "Expected a seed"),
        (["book", "--profile", "small"], "Expected a profile among"),
        (["phantom", "{tmp}/tree", "--hospital", "Z"], "Expected a hospital among A, B, C, got 'Z'"),
        (["phantom", "{tmp}/tree", "--n", "0"], "expected"),
        (["pretrain", "gpt", "--cache", "{tmp}"], "Expected a base checkpoint among"),
    ],
)
def test_bad_words_are_told_in_one_line(tmp_path, capsys, words, told):
    assert cli.main([word.format(tmp=tmp_path) for word in words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("chexreason: ")
    assert error.count("\n") == 1


def test_phantom_draws_a_tree_that_the_loader_reads(tmp_path):
    from chexreason import data

    assert (
        cli.main(["phantom", str(tmp_path / "films"), "--hospital", "C", "--n", "3", "--split", "test", "--size", "64"])
        == 0
    )
    assert data.is_phantom(tmp_path / "films")
    assert len(data.load("nih", tmp_path / "films", "test").studies) == 3


def test_profiles_lists_each(capsys):
    assert cli.main(["profiles"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == config.profile_names()


def test_settings_lists_each_with_its_source(capsys):
    assert cli.main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "grpo.beta = 0.15   [stated, 3.2.2]" in shown
    for row in settings_table().itertuples():
        assert f"{row.group}.{row.setting} = " in shown


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version_is_told(words):
    shown = subprocess.run(
        [sys.executable, "-m", "companion", *words], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert __version__ in shown


def test_looking_around_does_not_wait_for_torch():
    code = (
        "import sys\nfrom companion.workflow.commands import main\n"
        "main(['profiles']), main(['settings'])\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_command_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    for command in ("phantom", "pretrain", "run", "evaluate", "sft", "grpo", "book", "profiles", "settings", "version"):
        assert f"\n    {command} " in shown
