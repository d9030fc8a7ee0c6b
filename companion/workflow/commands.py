"""The command line: ``chexreason`` or ``python -m companion``.

Every command is a function that takes the parsed words, and imports what it needs only then, so
that ``chexreason profiles`` does not wait for torch. A mistake of the user's ends in one line on
the standard error stream and status 2; Ctrl-C in status 130; our own mistakes keep their traceback.
"""

import argparse
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexreason import __version__
from chexreason.errors import UserError

if TYPE_CHECKING:
    from chexreason.config import Profile
    from chexreason.runs import Run

#: Errors of the operating system that mean: the disk is full, or the quota used up.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
#: ... that the user may not read or write there.
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Where results of changes by hand go, unless --results says otherwise.
OWN_RESULTS = "my_results"
#: The libraries' own bars and forecasts of deprecation would bury ours; a notebook's kernel inherits this.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore:IProgress not found",
    "TRANSFORMERS_VERBOSITY": "error",
}


def show_version(words: argparse.Namespace) -> None:
    """Print the versions of this package and of what its numbers depend on."""
    from chexreason import runs

    print(f"chexreason {__version__}")
    for name, version in runs.versions().items():
        print(f"  {name} {version}")


def show_profiles(words: argparse.Namespace) -> None:
    """Print each profile's name, tier and purpose."""
    import yaml

    from chexreason import config

    for name in config.profile_names():
        about = yaml.safe_load((config.PROFILES / f"{name}.yml").read_text(encoding="utf-8"))
        print(f"{name:<10} {about['tier']:<12} {' '.join(str(about['what']).split())}")


def show_settings(words: argparse.Namespace) -> None:
    """Print every setting with its value, its source and the profiles that change it."""
    from companion.replication.traces.settings import Teacher
    from companion.report.settings import all_groups, settings_table

    groups = {**all_groups(), "teacher": Teacher}
    for row in settings_table(groups).to_dict("records"):
        source = f"stated, {row['section']}" if row["source"] == "stated" else f"assumed: {row['why']}"
        print(f"{row['group']}.{row['setting']} = {row['value']}   [{source}]")
        for override in filter(None, str(row["overrides"]).split("; ")):
            print(f"    {override}")


def draw_phantoms(words: argparse.Namespace) -> None:
    """Draw a tree of phantom films in a hospital's real layout."""
    from companion.phantoms.writers import write_tree

    write_tree(words.folder, words.hospital, {words.split: words.n}, words.seed, words.size)


def pretrain(words: argparse.Namespace) -> None:
    """Make the miniatures' base checkpoints again."""
    from companion.phantoms.pretrain import make

    for name in make.RECIPES if words.name == "all" else [words.name]:
        print(os.path.relpath(make.make(name, words.cache)))


def run_stages(words: argparse.Namespace) -> None:
    """Run the notebook of a stage, or of all four in order."""
    from companion.workflow import stages

    profile, given = _profile(words), _given(words)
    for name in stages.STAGES if words.stage == "all" else [words.stage]:
        executed = stages.run_stage(name, profile, json.dumps(given) if given else "")
        print(f"{name}: {os.path.relpath(executed)}")


def evaluate_stage(words: argparse.Namespace) -> None:
    """Decode and score without a notebook: the prompting or the generalization study."""
    profile = _profile(words)  # first: a wrong name is told before torch is loaded
    from chexreason import generalization, prompting

    study = {"prompting": prompting, "generalization": generalization}[words.study]
    _prepare(profile)
    _tell(study.ask_all(profile))


def train_sft(words: argparse.Namespace) -> None:
    """Fine-tune and score the two base models in four formats, without a notebook."""
    profile = _profile(words)
    from chexreason import sft

    _prepare(profile)
    _tell(sft.train_all(profile))


def train_grpo(words: argparse.Namespace) -> None:
    """Train and score the two rewards from the SFT checkpoint, without a notebook."""
    profile = _profile(words)
    from chexreason import grpo

    _prepare(profile)
    _tell(grpo.train_all(profile))


def run_experiment(words: argparse.Namespace) -> None:
    """Train one arm of the experiment at one seed and ask it about the test worlds."""
    from companion.experiment import arms

    if words.arm == "list":
        for name, arm in arms.ARMS.items():
            print(f"{name}: {arm.what} (seeds 0 to {arms.seeds_of(name)[-1]})")
        return
    if words.arm == "record":
        from companion.workflow import provenance

        print(os.path.relpath(provenance.write_experiment_record(_profile(words).results)))
        return
    if words.arm != "again":
        arms.get(words.arm)  # first: a wrong name is told before torch is loaded
    profile = _profile(words)
    if words.arm == "again":
        from companion.workflow import again

        again.run_again(profile)
        return
    from companion.experiment import train

    _tell(train.run_arm(words.arm, profile.seed, profile))


def build_book(words: argparse.Namespace) -> None:
    """Build the book from the results of a profile."""
    from companion.workflow import stages

    print(f"book: {os.path.relpath(stages.build_book(words.profile, words.out.resolve()))}")


def check_fresh(words: argparse.Namespace) -> None:
    """Say whether the committed results agree with the code as it is; for releases."""
    from companion.workflow import stages

    stages.require_fresh(words.profile)
    print(f"fresh: results/{words.profile} agree with the code, the settings and their own record")


def show_size(words: argparse.Namespace) -> None:
    """Print how large the method, its companion and the tests are, in files and lines."""
    from companion.workflow import size

    for what, files, lines in size.sizes():
        print(f"{what:<36} {files:>4} files {lines:>7,} lines")
    print("the four additions: make test, or .venv/bin/python -m pytest tests/test_extension.py")


def show_audit(words: argparse.Namespace) -> None:
    """Say what the paper's own numbers support: arithmetic, contradictions, matched labels, intervals, power."""
    if words.json:
        from companion.evidence import frames

        print(json.dumps(frames.data(), indent=1, ensure_ascii=False))
    else:
        from companion.report import terminal

        print(terminal.audit_text(shutil.get_terminal_size().columns))


def see_doctor(words: argparse.Namespace) -> int:
    """Say whether a profile can run on this machine: what is ready, what is missing, how to get it."""
    profile = _profile(words, unset=True)
    from companion.replication import doctor

    return doctor.tell(profile, shutil.get_terminal_size().columns)


def handle_cohorts(words: argparse.Namespace) -> int:
    """Show the cohorts, write them as manifests of salted hashes, or verify manifests with your own data."""
    profile = _profile(words)
    from chexreason import cohorts
    from companion.phantoms.prepare import prepare
    from companion.replication import manifests

    prepare(profile, teach=False)
    names = [words.cohort] if words.cohort else list(cohorts.COHORTS)
    return manifests.act(profile, words.what, names, words.manifest, os.environ.get(manifests.KEY, ""))


def write_traces(words: argparse.Namespace) -> int:
    """Have a teacher write the reasoning traces of real films; says first what that costs."""
    profile = _profile(words)
    from companion.replication.traces import command

    return command.run(profile, words.prompt, words.dry_run, words.yes, words.limit, print)


def judge_claims(words: argparse.Namespace) -> None:
    """Judge the paper's claims on its own tables, or on a run."""
    from companion.evidence import claims

    if words.results is not None and words.run is None:
        got = f"--results {words.results} alone"
        raise UserError("--run with --results", got, "say what of that folder to judge, --run demo say")
    side = None if words.run is None else claims.open_side(words.run, words.results)
    found = claims.outcomes(claims.CLAIMS, side)
    from companion.report import terminal as told

    if words.json:
        print(json.dumps(told.claims_data(found), indent=1, ensure_ascii=False))
    else:
        print(told.claims_text(found, shutil.get_terminal_size().columns, side.missing if side else ()))


def _profile(words: argparse.Namespace, unset: bool = False) -> "Profile":
    from chexreason import config

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    given = _given(words)
    results, cache = words.results, words.cache
    own = words.profile not in config.profile_names()
    if given or own or words.seed not in (None, config.raw(words.profile)["seed"]):
        # What was asked for by hand is never among the results that come with the repository.
        results = results or config.ROOT / OWN_RESULTS
        cache = cache or (
            None if set(given) <= {"modules", "study"} and words.seed is None else _own_cache(words, given)
        )
    return config.load_profile(words.profile, seed=words.seed, results=results, cache=cache, unset=unset, given=given)


def _given(words: argparse.Namespace) -> dict[str, Any]:
    """What the command line changes in the profile: settings, modules of your own, the rewards of GRPO."""
    import yaml

    from chexreason import extensions
    from chexreason.rewards import REWARDS

    given: dict[str, Any] = {}
    for entry in getattr(words, "set", None) or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise UserError("a setting as group.name=value", repr(entry), "write --set grpo.beta=0, say")
        given.setdefault("settings", {})[name] = yaml.safe_load(value)
    modules, rewards = list(getattr(words, "module", None) or []), []
    for name in getattr(words, "reward", None) or []:
        if name.endswith(".py"):
            known = set(REWARDS)
            extensions.load(name)
            rewards += [made for made in REWARDS if made not in known] or [
                made for made, cls in REWARDS.items() if _is_of(cls, Path(name))
            ]
            modules.append(str(Path(name).resolve()))
        else:
            rewards.append(name)
    if modules:
        given["modules"] = modules
    if rewards:
        given["study"] = {"grpo": {"rewards": rewards}}
    return given


def _is_of(made: Any, path: Path) -> bool:
    """Whether a reward was made in a file that had been imported before."""
    return str(getattr(made, "__module__", "")).endswith(f"extension_{path.stem}")


def _own_cache(words: argparse.Namespace, given: dict[str, Any]) -> Path:
    """A cache of their own for other seeds and settings: their checkpoints must not take the place of the profile's."""
    from chexreason import config
    from chexreason.files import digest_of

    usual = Path(os.environ.get("CHEXREASON_CACHE", config.ROOT / ".cache"))
    return usual / "own" / f"{Path(words.profile).stem}-{digest_of([given.get('settings'), words.seed])[:8]}"


def _prepare(profile: "Profile") -> None:
    """Draw what the profile draws; of several processes, one does it for all."""
    from chexreason.training import first_before_others
    from companion.phantoms.prepare import prepare

    with first_before_others():
        prepare(profile)


def _tell(finished: Sequence["Run"]) -> None:
    for run in finished:
        print(os.path.relpath(run.folder))
    if not finished and os.environ.get("RANK") == "0":
        print("trained by several processes; the same command by one, or `make book`, scores what they left")


def parser() -> argparse.ArgumentParser:
    """The commands and their words."""
    top = argparse.ArgumentParser(prog="chexreason", description="The companion of arXiv 2512.23090, step by step.")
    top.add_argument("--version", action="version", version=f"chexreason {__version__}")
    commands = top.add_subparsers(metavar="command", required=True)

    def command(name: str, act: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        about = (act.__doc__ or "").strip().splitlines()[0]
        one = commands.add_parser(name, help=about, description=about)
        one.set_defaults(act=act)
        return one

    def add_places(one: argparse.ArgumentParser) -> None:
        one.add_argument(
            "--profile", default="demo", help="a profile's name, or the path of its .yml file (default: demo)"
        )
        one.add_argument("--seed", type=int, help="instead of the profile's")
        one.add_argument("--set", action="append", metavar="GROUP.NAME=VALUE", help="a setting, grpo.beta=0 say")
        one.add_argument("--module", action="append", metavar="FILE.py", help="code of your own that registers things")
        one.add_argument("--results", type=Path, help="a folder instead of results/")
        one.add_argument("--cache", type=Path, help="a folder for checkpoints and films instead of .cache/PROFILE")

    command("version", show_version)
    command("profiles", show_profiles)
    command("settings", show_settings)
    phantom = command("phantom", draw_phantoms)
    phantom.add_argument("folder", type=Path, help="an empty folder, or one with the same phantoms already")
    phantom.add_argument("--hospital", default="A", help="A (like MIMIC), B (like CheXpert) or C (like NIH)")
    phantom.add_argument("--split", default="train", help="train, validate or test")
    phantom.add_argument("--n", type=int, default=100, help="number of studies")
    phantom.add_argument("--size", type=int, default=224, help="pixels on a side")
    phantom.add_argument("--seed", type=int, default=0)
    base = command("pretrain", pretrain)
    base.add_argument("name", help="medgemma, qwen, nv_reason (which goes on from qwen), or all")
    base.add_argument("--cache", type=Path, default=Path(".cache/pretrain"), help="a folder for what can be resumed")
    run = command("run", run_stages)
    run.add_argument("stage", help="prompting, sft, grpo, generalization, or all")
    evaluation = command("evaluate", evaluate_stage)
    evaluation.add_argument("study", choices=("prompting", "generalization"))
    reinforced = command("grpo", train_grpo)
    for one in (run, evaluation, command("sft", train_sft), reinforced):
        add_places(one)
    for one in (run, reinforced):
        one.add_argument("--reward", action="append", help="a reward's name, or a file that registers one of your own")
    experiment = command("experiment", run_experiment)
    experiment.add_argument("arm", help="an arm's name, or list, record (note what made them), again (check them)")
    add_places(experiment)
    experiment.set_defaults(profile="experiment")
    audit = command("audit", show_audit)
    claims = command("claims", judge_claims)
    claims.add_argument(
        "--run", help="a profile such as demo, a folder of runs, or one run's folder (default: the paper)"
    )
    claims.add_argument("--results", type=Path, help="a folder instead of results/")
    for one in (audit, claims):
        one.add_argument("--json", action="store_true", help="as data for a program instead of text")
    add_places(command("doctor", see_doctor))
    cohort = command("cohort", handle_cohorts)
    cohort.add_argument("what", choices=("show", "write", "verify"), metavar="show|write|verify")
    cohort.add_argument("--cohort", help="sft, rl, validation, chexpert or nih (default: all five)")
    cohort.add_argument("--manifest", "--out", type=Path, help="a file to verify, or the manifests' folder")
    add_places(cohort)
    traces = command("traces", write_traces)
    traces.add_argument("--prompt", default="all", help="one SFT format, reasoning_a say (default: all four)")
    traces.add_argument("--dry-run", action="store_true", help="only say what it would cost, and what is missing")
    traces.add_argument("--yes", action="store_true", help="start although it costs money")
    traces.add_argument("--limit", type=int, help="write at most so many traces of each format now")
    add_places(traces)
    book = command("book", build_book)
    book.add_argument("--profile", default="demo", help="whose results are shown (default: demo)")
    book.add_argument("--out", type=Path, default=Path(), help="the folder that gets _build/html (default: here)")
    command("size", show_size)
    fresh = command("fresh", check_fresh)
    fresh.add_argument("--profile", default="demo", help="whose results are checked (default: demo)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = parser().parse_args(arguments)
    try:
        return words.act(words) or 0
    except UserError as error:
        print(f"chexreason: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("chexreason: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (*FULL_DISK, *REFUSED):
            raise
        place = f" at {error.filename}" if error.filename else ""
        wanted, remedy = (
            ("room on the disk", "free some space") if error.errno in FULL_DISK
            else ("a file or folder that may be read and written", "change its permissions or choose another place")
        )  # fmt: skip
        got = f"{error.strerror}{place}"
        print(
            f"chexreason: Expected {wanted}, got {got}. {remedy.capitalize()} and run the same command again.",
            file=sys.stderr,
        )
        return 2
    return 0


def entry() -> None:
    """What the console script calls."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
