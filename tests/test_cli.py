"""The command line: one line for a user's mistake, the right exit status, and no wait for torch."""

import errno
import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from chexreason import __version__, config, written
from chexreason.errors import UserError
from companion.report.settings import settings_table
from companion.workflow import commands as cli
from companion.workflow import words


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
        *((OSError(code, "No", "/mimic/files/p10/p10000032/s50414267/02aa.jpg"), 2,
           f"Expected {wanted}, got No at /mimic/files/p*/p*/s*/*.jpg. {do} and run the same command again.")
          for codes, (wanted, do) in list(cli.SYSTEM.items())[1:] for code in codes),
        *((OSError(code, "No", "/mimic/p10000032"), 2, f"Expected {wanted}, got No at /mimic/p*. {do} and run the same "
           "command again.") for code, wanted, do in (
               (errno.ENOMEM, "enough memory", "Close other programs"),
               *((code, "a disk that reads, writes and locks files", "Choose another place")
                 for code in (errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ESTALE, errno.ETIMEDOUT)))),
        (MemoryError(), 2, "Expected enough memory, got none left. Close other programs or choose a smaller batch, and "
         "run the same command again."),
        (ModuleNotFoundError("No module named 'torch'", name="torch.nn"), 2,
         "Expected the package torch, got No module named 'torch'. Run `make setup`, and run the same command again."),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_line_and_a_status(failing, capsys, error, status, told):
    assert failing(error) == status
    assert capsys.readouterr().err == f"chexreason: {told}\n"


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("ours"), ConnectionError(errno.ECONNRESET, "reset"), ImportError("ours", name="companion.no")],
)
def test_our_own_mistake_keeps_its_traceback(failing, error):
    with pytest.raises(type(error)):
        failing(error)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "chexreason knows, got the following arguments are required: command. See chexreason --help."),
        ("nosuch", "words that chexreason knows, got argument command: invalid choice: 'nosuch'"),
        ("run sft --seed x", "words that chexreason run knows, got argument --seed: invalid int value: 'x'"),
        ("run sfft --profile smoke", "Expected a stage among generalization, grpo, prompting, sft, got 'sfft'"),
        ("run sft --profile small", "Expected a profile among"),
        ("sft --profile smoke --seed -1", "entry seed"),
        ("sft --profile smoke --seed 99999999999999999999", "greater than the maximum of 4294967295"),
        ("sft --profile smoke --set grpo.beta", "Expected a setting as group.name=value, got 'grpo.beta'"),
        ("sft --profile smoke --set grpo.beta=[", "Expected a text that can be read in --set grpo.beta, got"),
        ("sft --profile smoke --set grpo.beta=[{long}", "Expected a text that can be read in --set grpo.beta, got"),
        ("sft --profile smoke --set {long}=[", "Expected a text that can be read in --set xxx"),
        ("sft --profile smoke --set grpo.beta=2 --set grpo.beta=3", "Expected each name once, got grpo.beta twice"),
        ("sft --profile smoke --set sft.run_name=2020-01-01", "date is not JSON"),
        ("sft --profile /very/{long}/path.yml", "path.yml'. Add a new one in"),
        ("sft --profile smoke --module {long}", "a module or a Python file ...xxx"),
        ("grpo --profile smoke --reward {tmp}/empty.py", "Expected a file that registers a reward, got"),
        *((f"sft --profile smoke {word}=", f"argument {word}: an empty path") for word in ("--cache", "--results")),
        ("sft --profile paper", "rows of MIMIC-CXR-JPG outside the repository"),
        ("sft --profile smoke --results {tmp}/file", "got Not a directory at "),
        ("run all --profile smoke --cache /dev/null", "got File exists at /dev/null"),
        ("sft --profile smoke --cache /proc/x --results {tmp}", "No such file or directory at /proc/x"),
        ("sft --profile smoke --results {long}", "got File name too long at "),
        (
            "grpo --profile smoke --cache {tmp} --results {tmp}",
            "Expected the checkpoint of 02-sft-medgemma-free_reasoning",
        ),
        (
            "run generalization --profile smoke --cache {tmp}",
            "Expected the checkpoint of 02-sft-medgemma-free_reasoning",
        ),
        ("cohort show --profile smoke --cohort nosuch", "Expected a cohort among"),
        ("experiment again --results {tmp}", "Expected runs of the experiment in "),
        ("experiment record --results {tmp}", "Expected runs of the experiment in "),
        ("sft {there} --profile smoke --set sft.optim=nosuch", "settings that SFTConfig takes, got nosuch"),
        ("sft {there} --profile smoke --set grpo.dataloader_num_workers=-1", "that GRPOConfig takes, got num_workers"),
        ("sft {there} --profile smoke --set lora.bias=nosuch", "options that PEFT takes, got Requested bias: nosuch"),
        ("sft {there} --profile smoke --set teacher.nosuch=1", "a setting among "),
        ("sft {there} --profile {tmp}/family.yml", "a family in models of profile family among medgemma, nv_reason"),
        (
            "sft {there} --profile {tmp}/engine.yml",
            "class or function for engines.sft in profile engine, got 'no.such'",
        ),
        ("sft {there} --profile engine", "a class or function for engines.sft in profile engine, got 'no.such'"),
        ("sft {there} --profile {tmp}/other.yml", "type qwen2_5_vl for Qwen2.5-VL-3B-Instruct, got gemma3 at "),
        ("run prompting {there} --profile {tmp}/silent.yml", "Expected a checkpoint of Qwen2.5-VL-3B-Instruct at "),
        ("experiment base {there} --profile {tmp}/bare.yml", "weights for models.qwen in profile bare, got no config"),
        *((command + " {there} --profile {tmp}/hub.yml", "qwen in profile hub, got org/name: not here, and the hub ")
          for command in ("sft", "run all", "experiment base")),
        *((f"{words}~nosuchuser/x", "Expected a user's home before the first / of a path, got ~nosuchuser/x. Correct")
          for words in ("sft --profile smoke --results ", "run all --cache=", "phantom ", "pretrain qwen --cache ",
                        "sft --module ", "claims --run demo --results ", "html --out ", "cohort verify --manifest ")),
        *((f"book --cores {n}", f"no number from 1 on: '{n}'") for n in ("0", "-1", "two")),
        ("doctor --profile ~nosuchuser/x.yml", "home before the first / of a path, got ~nosuchuser/x.yml"),
        ("run all {there} --profile smoke --reward nuanced", "Expected the checkpoint of 03-grpo-hard"),
        ("experiment list --profile nosuch", "Expected a profile among"),
        ("doctor --set teacher.nosuch=1", "Expected a setting among"),
        (
            "cohort verify --profile smoke --cache {tmp} --manifest /no/where",
            "a manifest at /no/where/validation.json, got no",
        ),
        ("fresh --profile {tmp}/family.yml", "Expected results in "),
        ("pretrain frob --cache {tmp}/new", "Expected a base checkpoint among"),
        ("html --profile small", "Expected a profile among"),
        ("html --out {tmp}/file", "got File exists at "),
        ("claims --run {long}", "got File name too long at "),
        ("fresh --profile small", "Expected a profile among"),
        ("doctor --profile /d/p10000032/pappe.yml", "smoke, got '/d/p*/pappe.yml'. Add"),
        ("doctor --profile pappe", "Expected a profile among"),
        ("phantom {long}", "got File name too long at "),
        ("phantom {tmp}/tree --hospital Z", "Expected a hospital among A, B, C, got 'Z'"),
        ("phantom {tmp}/tree --n 0", "Expected at least one study"),
        ("pretrain gpt --cache {tmp}", "Expected a base checkpoint among"),
        ("pretrain medgemma --cache {tmp}/file", "got File exists at "),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line_before_anything_is_drawn(tmp_path, capsys, monkeypatch, words, told):
    (tmp_path / "file").touch()
    (tmp_path / "empty.py").touch()
    text = (written.PROFILES / "smoke.yml").read_text()
    (tmp_path / "family.yml").write_text(text.replace("models: {", "models: {gpt: org/name, "))
    (tmp_path / "engine.yml").write_text(text.replace("companion.speed.sft.FastSFTTrainer", "no.such"))
    qwen = "companion/phantoms/checkpoints/qwen"
    shutil.copytree(config.ROOT / qwen, tmp_path / "silent", ignore=shutil.ignore_patterns("tokenizer*"))
    (tmp_path / "bare").mkdir()
    for name, model in {"other": qwen.replace("qwen", "medgemma"), "silent": str(tmp_path / "silent"),
                        "bare": str(tmp_path / "bare"), "hub": "org/name"}.items():  # fmt: skip
        (tmp_path / f"{name}.yml").write_text(text.replace(f"qwen: {qwen}", f"qwen: {model}"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if "profile engine" in words:
        monkeypatch.setattr(written, "PROFILES", tmp_path)
    monkeypatch.delenv("CHEXREASON_CACHE", raising=False)
    monkeypatch.setenv(written.STARTED_IN, "")
    there = f"--cache {tmp_path} --results {tmp_path}"
    assert cli.main(words.format(tmp=tmp_path, there=there, long="x" * 300).split()) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("chexreason: Expected ")
    assert error.count("\n") == 1
    assert len(error) <= len("chexreason: \n") + 200
    assert not [path for name in ("images", "new") for path in tmp_path.rglob(name)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("sizes.nih=5000", "Expected between 1 and 8 studies to draw, got a request for 5000 out of 8 patients"),
        ("decoding.load_in_bits=8", "Expected bitsandbytes for weights in 8 bits, got none in this environment"),
        ("grpo.use_vllm=true", "Expected vLLM, which the profile asks for, got none in this environment"),
    ],
)
def test_what_the_last_stage_lacks_is_told_before_the_first_computes(tmp_path, monkeypatch, capsys, change, told):
    find = importlib.util.find_spec
    gone = ("bitsandbytes", "vllm")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in gone else find(name, *more))
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    assert cli.main(["run", "all", "--profile", "smoke", "--set", change, *places]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ipynb"))


def test_one_variable_names_the_results_of_every_command(tmp_path, monkeypatch):
    monkeypatch.setenv("CHEXREASON_RESULTS", str(tmp_path))
    for typed in ("sft", "experiment base", "run all", "run all --seed 7", "doctor --set grpo.beta=0"):
        made = words.profile_of(cli.parser().parse_args([*typed.split(), "--profile", "smoke"]))
        assert made.results == tmp_path / "smoke"
    monkeypatch.setenv("CHEXREASON_RESULTS", "")
    asked = cli.parser().parse_args(["run", "all", "--profile", "smoke", "--seed", "7"])
    assert words.profile_of(asked).results == config.ROOT / words.OWN_RESULTS / "smoke"


@pytest.mark.parametrize("name", ["PROFILES", "RESULTS", "CACHE"])
def test_a_variable_with_a_home_of_nobody_is_one_line(name):
    for command in ("companion doctor", "snakemake --dry-run --cores 1 --config profile=smoke"):
        environment = {**os.environ, "PYTHONPATH": str(config.ROOT), f"CHEXREASON_{name}": "~nosuchuser/x"}
        words = [sys.executable, "-m", *command.split()]
        ended = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=config.ROOT, check=False)
        assert "chexreason: Expected a user's home before the first / of a path, got ~nosuchuser/x" in ended.stderr
        assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)


def test_profiles_and_settings_are_listed(capsys):
    assert cli.main(["profiles"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == written.profile_names()
    assert cli.main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "grpo.beta = 0.15   [stated, 3.2.2]" in shown
    for row in settings_table().itertuples():
        assert f"{row.group}.{row.setting} = " in shown


def test_a_folder_without_profiles_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(written, "PROFILES", tmp_path)
    assert cli.main(["profiles"]) == 2
    assert f"Expected a folder of profiles, got {tmp_path} with none" in capsys.readouterr().err


def test_the_version_is_told_anywhere():
    command = [sys.executable, "-m", "companion", "--version"]
    assert __version__ in subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout


def test_a_terminal_that_lacks_our_signs_gets_others():
    command = [sys.executable, "-c", "import sys; from companion.workflow import commands as c; c.main = lambda: "
               "print('✓ 1 − 2 ≠ ä'); c.entry()"]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert shown.stdout == b"+ 1 - 2 != ?\n"


def test_looking_around_does_not_wait_for_torch(tmp_path):
    looks = ["profiles"], ["settings"], ["doctor", "--profile", "smoke", "--cache", str(tmp_path)]
    code = (
        "import sys\nfrom companion.workflow.commands import main\n"
        f"assert [main(words) for words in {looks}] == [0, 0, 0]\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
