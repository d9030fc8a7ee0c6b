"""Predictions of one's own as a run folder: scored, written and told as any other run is.

The run is named as those of Tables 5 and 6 are, so that it stands there as a column; of another split or data set it
does not. Its rows go where the profile's go, and never into the results where the data are credentialed or one's own.
"""

import re
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from chexreason import prompts, runs
from chexreason.config import ROOT, DataPlace, Profile
from chexreason.data.study import masked
from chexreason.errors import UserError, unknown
from chexreason.files import file_digest
from chexreason.labels import UNCERTAINTY_POLICIES
from chexreason.rows import row
from chexreason.runs import Run
from chexreason.written import SCHEMA, folder
from companion.evidence import comparable, tables
from companion.evidence.claims import CLAIMS, Outcome, judge, open_runs, outcomes
from companion.evidence.claims.ours import Ours, Scored
from companion.evidence.scoring import summary
from companion.phantoms.prepare import prepare
from companion.replication.own import labels, reading


def score(
    file: Path, profile: Profile, dataset: str, *, data: Path | None = None, split: str = "test", name: str = "",
    column: str | None = None, threshold: float = reading.THRESHOLD, uncertain: str | None = None,
    prompt: str = "free_reasoning", partial: bool = False,
) -> Run:  # fmt: skip
    """Score a file of predictions against a data set of the profile, or one that a .yml file describes.

    Raises UserError for whatever is wrong with the words, the file or the labels; nothing is written then.
    """
    begun, asked = time.time(), prompts.get(prompt)
    if not file.is_file():
        raise UserError(f"a file of predictions at {masked(file, 60)}", "none", "correct its path")
    name = name or re.sub(r"[^\w.-]+", "-", file.name.partition(".")[0]).strip("-.") or "predictions"
    if not re.search(SCHEMA["$defs"]["name"]["pattern"], name):
        raise UserError("a name of letters, digits, dashes and points", repr(name), "give another --name")
    reading.check_threshold(threshold)
    if (policy := uncertain or profile.decoding.uncertain) not in UNCERTAINTY_POLICIES:
        raise UserError(f"--uncertain {'|'.join(UNCERTAINTY_POLICIES)}", repr(policy), "say one of these")
    profile, to = _against(profile, dataset, data, split)
    end = "" if split == "test" else f"-{split}"
    run_id = f"04-generalization-{name}-{to.name}{end}"
    there = runs.read(profile.results / run_id)
    if there and there.info.get("stage") != tables.OWN:
        raise UserError("a name that no run of the study bears", run_id, "give another --name")
    said = reading.read(file, to, column=column, threshold=threshold, prompt=asked, partial=partial,
                        lists=profile.cache / "score")  # fmt: skip
    if there:
        print(f"score: in place of what was scored as {run_id} before")
    label_set = comparable.label_set(said.findings)
    facts = {
        "stage": tables.OWN, "model": name, "base_model": name, "dataset": to.name, "split": split,
        "prompt": f"{asked.name} v{asked.version}" if said.form == reading.ANSWERS else "none",
        "label_set": label_set, "form": said.form, "patients": len({study.patient_id for study in said.studies}),
    }  # fmt: skip
    settings = {"decoding": {"uncertain": policy}, "threshold": threshold, "partial": partial}
    inputs = {"predictions": file_digest(file)} if to.public else {}  # else anyone could try studies until it fits
    rows = pd.DataFrame([
        row(study, one, said.findings, policy, real=to.real)
        for study, one in zip(said.studies, said.rows, strict=True)
    ])  # fmt: skip
    return runs.finish(
        runs.Plan(profile, run_id, facts, settings, inputs, begun), metrics=summary(rows, label_set, said.chance_BF),
        predictions=rows, device="none", n=len(rows), left_out=to.left_out | said.left_out,
    )  # fmt: skip


def _against(profile: Profile, dataset: str, data: Path | None, split: str) -> tuple[Profile, labels.Labels]:
    """The labelled studies; and the profile of a run on them, which holds that data set alone."""
    own = dataset.endswith((".yml", ".yaml"))
    if not own and dataset not in profile.data:
        raise unknown("data set", dataset, profile.data, "a .yml file that describes it")
    drawn = not own and profile.data[dataset].draw is not None
    if (own or data) and (drawn or profile.tier != "replication"):
        got = f"{profile.name} ({profile.tier})"
        raise UserError("a profile of the tier replication for your own data", got, "leave out --profile")
    if own:
        profile = replace(profile, data={}, rows="cache")
        if profile.cache.resolve().is_relative_to(ROOT):
            do = "set CHEXREASON_CACHE, or --cache, to a folder elsewhere"
            raise UserError("a folder outside the repository for rows of your data", masked(profile.cache), do)
        return profile, labels.of_file(Path(dataset))
    places = {name: place for name, place in profile.data.items() if name == dataset}
    profile = replace(profile, data={dataset: DataPlace(folder(data))} if data else places)
    for fault in replace(profile, data={k: replace(place, unset="") for k, place in profile.data.items()}).faults():
        raise fault
    prepare(profile, teach=False)
    return profile, labels.of_data_set(profile, dataset, split)


class Recording(Ours):
    """The side of some runs that notes which of them a claim asks for."""

    def __init__(self, side: Ours) -> None:
        super().__init__(side.trainings, side.name)
        self.asked: set[str] = set()

    def _at(self, training: int, run_id: str, checkpoint: str | None) -> Scored:
        self.asked.add(run_id)
        return super()._at(training, run_id, checkpoint)


def claims_about(run: Run) -> dict[str, Outcome]:
    """The claims of the paper that ask for the run, judged with the other runs of its folder; some wait for those.

    They are about the paper's five models on its two test sets, so a run of another name concerns none.
    """
    if run.info["model"] not in tables.MODELS or run.info["dataset"] not in tables.DATASETS:
        return {}
    side = Recording(open_runs(str(run.folder.parent)))
    found = {}
    for name, one in outcomes(CLAIMS, side).items():
        side.asked.clear()
        judge(CLAIMS[name], side)
        if run.run_id in (one.runs or side.asked):
            found[name] = one
    return found
