"""The command line: one line for a user's mistake, the right exit status, and no wait for torch."""

import errno
import subprocess
import sys

import pytest

from chexreason import __version__, config
from chexreason.errors import UserError
from companion.report.settings import settings_table
from companion.workflow import commands as cli


@pytest.fixture
def failing(monkeypatch):
    """Runs a command that fails with an error; gives its exit status."""

    def run(error: BaseException) -> int:
        def act(words):
            """Fail."""
            raise error

        monkeypatch.setitem(cli.COMMANDS, "profiles", (act, (), {}))
        return cli.main(["profiles"])

    return run


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (UserError("a folder", "nothing", "make one"), 2, "Expected a folder, got nothing. Make one."),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to go on"),
        *((OSError(code, "No space left on device", "metrics.csv"), 2,
           "Expected room on the disk, got No space left on device at metrics.csv. Free some space and run the same "
           "command again.") for code in (errno.ENOSPC, errno.EDQUOT)),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2,
         "Expected a file or folder that may be read and written, got Permission denied at x. Change its permissions "
         "or choose another place and run the same command again."),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line_and_a_status(failing, capsys, error, status, told):
    assert failing(error) == status
    assert capsys.readouterr().err == f"chexreason: {told}\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), ConnectionError(errno.ECONNRESET, "reset")])
def test_our_own_mistake_keeps_its_traceback(failing, error):
    with pytest.raises(type(error)):
        failing(error)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run sfft --profile smoke", "Expected a stage among generalization, grpo, prompting, sft, got 'sfft'"),
        ("run sft --profile small", "Expected a profile among"),
        ("sft --profile smoke --seed -1", "Expected a seed"),
        ("sft --profile smoke --set grpo.beta", "Expected a setting as group.name=value, got 'grpo.beta'"),
        ("book --profile small", "Expected a profile among"),
        ("doctor --profile pappe", "Expected a profile among"),
        ("phantom {tmp}/tree --hospital Z", "Expected a hospital among A, B, C, got 'Z'"),
        ("phantom {tmp}/tree --n 0", "Expected at least one study"),
        ("pretrain gpt --cache {tmp}", "Expected a base checkpoint among"),
    ],
)
def test_bad_words_are_told_in_one_line(tmp_path, capsys, words, told):
    assert cli.main(words.format(tmp=tmp_path).split()) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("chexreason: ")
    assert error.count("\n") == 1


def test_profiles_and_settings_are_listed(capsys):
    assert cli.main(["profiles"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == config.profile_names()
    assert cli.main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "grpo.beta = 0.15   [stated, 3.2.2]" in shown
    for row in settings_table().itertuples():
        assert f"{row.group}.{row.setting} = " in shown


def test_the_version_is_told_anywhere():
    command = [sys.executable, "-m", "companion", "--version"]
    assert __version__ in subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_looking_around_does_not_wait_for_torch(tmp_path):
    looks = ["profiles"], ["settings"], ["doctor", "--profile", "smoke", "--cache", str(tmp_path)]
    code = (
        "import sys\nfrom companion.workflow.commands import main\n"
        f"assert [main(words) for words in {looks}] == [0, 0, 0]\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
