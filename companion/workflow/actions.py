"""What each command does: a function of the parsed words.

A function imports what it needs only when it is called, so that ``chexreason profiles`` does not wait for torch.
"""

import importlib
import json
import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chexreason.errors import UserError, unknown
from companion.workflow.words import QUIET, Words, given_by, profile_of

if TYPE_CHECKING:
    from chexreason.config import Profile
    from chexreason.runs import Run

#: The method in the order in which README has it read.
HOUR = ("rewards", "completions", "recipe", "objective", "sft", "grpo", "training", "evaluate", "metrics", "study")


def show_profiles(words: Words) -> None:
    """Print each profile's name, tier and purpose."""
    from chexreason import written

    if not written.profile_names():
        raise UserError("a folder of profiles", f"{written.PROFILES} with none", "set CHEXREASON_PROFILES to another")
    for name in written.profile_names():
        about = written.raw(name)
        print(f"{name:<10} {about['tier']:<12} {' '.join(str(about['what']).split())}")


def show_settings(words: Words) -> None:
    """Print every setting with its value, its source and the profiles that change it."""
    from companion.replication.traces.teacher import Teacher
    from companion.report.settings import all_groups, settings_table

    for row in settings_table({**all_groups(), "teacher": Teacher}).to_dict("records"):
        source = f"stated, {row['section']}" if row["source"] == "stated" else f"assumed: {row['why']}"
        print(f"{row['group']}.{row['setting']} = {row['value']}   [{source}]")
        for override in filter(None, str(row["overrides"]).split("; ")):
            print(f"    {override}")


def draw_phantoms(words: Words) -> None:
    """Draw a tree of phantom images in a hospital's real layout."""
    from companion.phantoms.writers import write_tree

    write_tree(words.folder, words.hospital, {words.split: words.n}, words.seed, words.size)


def pretrain(words: Words) -> None:
    """Make the miniatures' base checkpoints again."""
    from companion.phantoms.pretrain import make

    if words.name in (*make.RECIPES, "all"):  # any other is refused
        words.cache.mkdir(parents=True, exist_ok=True)
    for name in make.RECIPES if words.name == "all" else [words.name]:
        print(os.path.relpath(make.make(name, words.cache)))


def run_stages(words: Words) -> None:
    """Run the notebook of a stage, or of all four in order."""
    from companion.workflow import stages
    from companion.workflow.begin import begin, draw

    profile, given = profile_of(words), given_by(words)
    if words.stage not in (*stages.STAGES, "all"):
        raise unknown("stage", words.stage, stages.STAGES, "companion/evidence/sections.py")
    names = profile.stages if words.stage == "all" else [words.stage]
    _in_study(profile, names)
    begin(profile, *names, changed=bool(words.set))
    draw(profile, *names)
    for name in names:
        executed = stages.run_stage(name, profile, json.dumps(given) if given else "")
        print(f"{name}: {os.path.relpath(executed)}")


def get_ready(words: Words) -> None:
    """Look at all that a study needs, and draw its phantoms, before anything is computed."""
    from companion.workflow.begin import begin, draw

    profile = profile_of(words)
    begin(profile, *profile.stages, changed=False)
    draw(profile, *profile.stages)


def _in_study(profile: "Profile", names: Sequence[str]) -> None:
    """Raise UserError for stages that have no runs in the profile's study."""
    for name in names:
        if name not in profile.stages:
            raise unknown(f"stage of the study of profile {profile.name}", name, profile.stages, "its `study`")


def train(words: Words) -> None:
    """Train and score a stage without a notebook, in one process or, under `accelerate launch`, in several."""
    profile = profile_of(words)  # first: a wrong name is told before torch is loaded
    _in_study(profile, [words.stage])
    from companion.workflow.begin import begin, draw

    begin(profile, words.stage, changed=bool(words.set))
    from chexreason.processes import first_before_others
    from companion.phantoms.prepare import prepare

    with first_before_others():  # of several processes, one draws for all
        draw(profile, words.stage)
        prepare(profile)
    _tell(importlib.import_module(f"chexreason.{words.stage}").train_all(profile))


def run_experiment(words: Words) -> None:
    """Train one arm of the experiment at one seed and evaluate it under the test conditions."""
    from companion.experiment import arms

    profile = profile_of(words)
    if words.arm in ("record", "again") and not any(profile.results.glob("seed*/*/run.json")):
        wanted, do = f"runs of the experiment in {profile.results}", "compute them first: make experiments"
        raise UserError(wanted, "none", do)
    if words.arm == "list":
        for name, arm in arms.ARMS.items():
            print(f"{name}: {arm.what} (seeds 0 to {arms.seeds_of(name)[-1]})")
    elif words.arm == "record":
        from companion.workflow import provenance

        print(os.path.relpath(provenance.write_experiment_record(profile.results)))
    elif words.arm == "again":
        from companion.workflow import again

        again.run_again(profile)
    else:
        arms.get(words.arm)  # first: a wrong name is told before torch is loaded
        from companion.workflow.begin import begin

        begin(profile, changed=bool(words.set))
        from companion.experiment import train

        _tell(train.run_arm(words.arm, profile.seed, profile))


def record_laboratory(words: Words) -> None:
    """Ask the second experiment's models about the X-rays of the book's laboratory; two minutes of a laptop."""
    from chexreason import config
    from companion.lab import record
    from companion.workflow import provenance

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    print(os.path.relpath(record.record()))
    provenance.write_laboratory_record(config.RESULTS)


def check_fresh(words: Words) -> None:
    """Say whether the committed results agree with the code as it is; for releases."""
    from chexreason import written
    from companion.workflow import stages

    name = written.file_of(words.profile).stem
    stages.require_fresh(name)
    print(f"fresh: results/{name} agree with the code, the settings and their own record")


def show_size(words: Words) -> None:
    """Print how large the method, its companion and the tests are, in files and lines."""
    from chexreason.config import ROOT
    from companion.workflow.provenance import PACKAGES, closure

    loaded = closure(["chexreason.grpo"])
    parts = {
        "loaded by `import chexreason.grpo`": loaded,
        "of these in companion": [path for path in loaded if path.is_relative_to(ROOT / "companion")],
        "the hour's read": [ROOT / "chexreason" / f"{name}.py" for name in HOUR],
    }
    parts |= {f"{name}/": list((ROOT / name).rglob("*.py")) for name in (*PACKAGES, "tests", "benchmarks")}
    for what, paths in parts.items():
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
        print(f"{what:<36} {len(paths):>4} files {lines:>7,} lines")
    print("the four additions: make test, or .venv/bin/python -m pytest tests/test_extension.py")


def show_audit(words: Words) -> None:
    """Say what the paper's own numbers support: arithmetic, contradictions, matched labels, intervals, power."""
    if words.json:
        from companion.evidence import frames

        print(json.dumps(frames.data(), indent=1))
    else:
        from companion.report import terminal

        print(terminal.audit_text(shutil.get_terminal_size().columns))


def judge_claims(words: Words) -> None:
    """Judge the paper's claims on its own tables, or on a run."""
    from companion.evidence import claims

    if words.results is not None and words.run is None:
        got = f"--results {words.results} alone"
        raise UserError("--run with --results", got, "say what of that folder to judge, --run demo for instance")
    side = None if words.run is None else claims.open_side(words.run, words.results)
    found = claims.outcomes(claims.CLAIMS, side)
    from companion.report import terminal as told

    if words.json:
        print(json.dumps(told.claims_data(found), indent=1))
    else:
        print(told.claims_text(found, shutil.get_terminal_size().columns, side.missing if side else ()))


def score_predictions(words: Words) -> None:
    """Score your own predictions against your own label files, as a run of the study is scored."""
    from companion.replication.own import run as own

    profile = profile_of(words, unset=True)
    run = own.score(
        words.file, profile, words.dataset, data=words.data, split=words.split, name=words.name, column=words.id,
        threshold=words.threshold, uncertain=words.uncertain, prompt=words.prompt, partial=words.partial,
    )  # fmt: skip
    from companion.report import scored

    print(scored.run_text(run, own.claims_about(run), shutil.get_terminal_size().columns))


def compare_runs(words: Words) -> None:
    """Compare two runs on the studies and findings that both have: the second minus the first."""
    from chexreason.labels import FINDINGS, NIH_SHARED, read_labels
    from companion.evidence import paired

    sets = {"": (), "nine": NIH_SHARED, "14": FINDINGS}
    named = words.labels not in sets  # of a set, those that both runs have; of findings by name, all
    names, strange, _ = read_labels(words.labels) if named else (sets[words.labels], (), 0)
    if strange or (named and not names):
        raise UserError(f"findings among {', '.join(FINDINGS)}", repr([*strange, words.labels][0]), "correct --labels")
    if "*" in words.profile and any("/" in word for word in (words.first, words.second)):
        raise UserError("names of runs beside a --profile with a star", "a folder", "name the runs")
    each = []
    for profile in paired.profiles(words.profile, words.results):
        first, second = (paired.open_run(run, profile, words.results) for run in (words.first, words.second))
        rows = (paired.rows_of(first, words.cache), paired.rows_of(second, words.cache))
        each.append(paired.compare(
            (first, second), rows, findings=names, policy=words.uncertain, against=words.against,
            drop_failures=words.failures == "drop", all_of=named,
        ))  # fmt: skip
    found = paired.over_seeds(each) if len(each) > 1 else each[0]
    if words.json:
        print(json.dumps(found.described(), indent=1))
    else:
        from companion.report import scored

        print(scored.compared_text(found, shutil.get_terminal_size().columns))


def see_doctor(words: Words) -> int:
    """Say whether a profile can run on this machine: what is ready, what is missing, how to get it."""
    profile = profile_of(words, unset=True)
    from companion.replication import doctor

    return doctor.tell(profile, shutil.get_terminal_size().columns)


def handle_cohorts(words: Words) -> int:
    """Show the cohorts, write them as manifests, or verify manifests with your own data."""
    profile = profile_of(words)
    from chexreason import cohorts
    from companion.phantoms.prepare import prepare
    from companion.replication import manifests
    from companion.workflow.begin import cohorts_of

    names = [words.cohort] if words.cohort else cohorts_of(profile, *profile.stages)
    cohorts.place_of(names[0])  # an unknown one is refused before anything is drawn
    for path in manifests.files(profile, names, words.manifest) if words.what == "verify" else ():
        manifests.read(path)  # so is one that is not there
    prepare(profile, teach=False)
    return manifests.run(profile, words.what, names, words.manifest)


def write_traces(words: Words) -> int:
    """Have a teacher write the reasoning traces of real images; says first what that costs."""
    profile = profile_of(words)
    from companion.replication.traces import command

    return command.run(profile, words.prompt, words.dry_run, words.yes, words.limit, print)


def _tell(finished: Sequence["Run"]) -> None:
    for run in finished:
        print(os.path.relpath(run.folder))
    if not finished and os.environ.get("RANK") == "0":
        print("trained by several processes; the same command by one, or `make book`, scores what they left")
