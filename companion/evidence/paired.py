"""Two runs on the same studies and findings: each score of both, and the difference with an interval by patient.

What only one side has is left out of both, counted and said. The interval is of a paired bootstrap: the same patients
are drawn for both. It says nothing of another training of either.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from chexreason import config, metrics, written
from chexreason.data.study import masked
from chexreason.errors import UserError, unknown
from chexreason.files import digest_of
from chexreason.labels import FINDINGS, LABEL_SETS
from chexreason.rows import STATES, under
from chexreason.runs import Run, read
from companion.evidence import comparable, outcomes, tables
from companion.evidence.drawn import AGAINST, DRAWN, RECORDED, stated
from companion.evidence.scoring import RESAMPLES
from companion.evidence.stats import f1, percentiles, resampled_counts
from companion.experiment import plan


@dataclass(frozen=True)
class Compared:
    """The second of two runs minus the first."""

    names: tuple[str, str]
    tier: str
    where: str  # data set and split
    findings: tuple[str, ...]
    policy: str
    against: str  # whose labels, one of `drawn.AGAINST`
    studies: int
    patients: int
    left_out: dict[str, int]  # why studies or findings fell out, of which side -> how many
    failures: tuple[int, int]  # answers without a label among the studies compared
    unfit: tuple[str, str]  # why a side takes part in no order; empty if it does
    table: pd.DataFrame  # score, positives, first, second, difference, low, high; NaN where there is no such number
    of: str = ""  # a digest of the studies
    seeds: int = 1  # trainings of each side; the interval of more than one is `over_seeds`

    def described(self) -> dict[str, Any]:
        """The same as plain data."""
        table = self.table.astype(object).where(self.table.notna(), None)
        return {**vars(self), "table": table.to_dict("records")}


def compare(
    runs: tuple[Run, Run], rows: tuple[pd.DataFrame, pd.DataFrame], *, findings: Sequence[str] = (),
    policy: str | None = None, against: str = RECORDED, drop_failures: bool = False, resamples: int = RESAMPLES,
    all_of: bool = True,
) -> Compared:  # fmt: skip
    """Two runs, by their rows, on the studies and findings that both have.

    `findings` are all that both have by default; without `all_of` those of them that both have. With `policy` uncertain
    labels are read anew from the rows' states. `against` holds drawn studies against other labels (`drawn.AGAINST`).
    Raises UserError for runs of two tiers, findings or studies that are not on both sides, and labels that differ.
    """
    if len(tiers := {str(run.info["tier"]) for run in runs}) > 1:
        raise UserError("two runs of one tier", " and ".join(sorted(tiers)), "compare runs on the same images")
    sets = [LABEL_SETS[str(run.info["label_set"])] for run in runs]
    both = [name for name in FINDINGS if all(name in one for one in sets)]
    if all_of and (lack := [name for name in findings if name not in both]):
        raise UserError("findings on which both runs are scored", f"{', '.join(lack)} on one or none", "leave them out")
    names = tuple(name for name in both if name in (findings or both))
    if not names:
        raise UserError("a finding on which both runs are scored", "none", "compare runs on the same label set")
    left_out = {f"findings of the {side} run alone": len(set(one) - set(both))
                for side, one in zip(("first", "second"), sets, strict=True)}  # fmt: skip
    policies = {recorded_policy(run) for run in runs}
    if policy is None and len(policies) > 1:
        got, do = " and ".join(sorted(policies)), "say which with --uncertain"
        raise UserError("uncertain labels read alike in both runs", got, do)
    policy = policy or policies.pop()
    if against != RECORDED:
        can = [_can_be_stated(run, rows[k], sets[k], against) for k, run in enumerate(runs)]
        left_out["findings that these labels never have"] = len([name for name in names if name not in can[0] & can[1]])
        names = tuple(name for name in names if name in can[0] & can[1])
        if not names:
            got, do = f"none among those of {against}", "choose other findings, or leave --against out"
            raise UserError("a finding that the labels can have", got, do)
    sides = [_read(run, table, sets[k], policy, against) for k, (run, table) in enumerate(zip(runs, rows, strict=True))]
    keys = [set(side.index) for side in sides]
    shared = [key for key in sides[0].index if key in keys[1]]
    if not shared:
        raise UserError("two runs with studies in common", "none", "compare runs on one data set and split")
    left_out |= {f"studies of the {side} run alone": len(one) - len(shared)
                 for side, one in zip(("first", "second"), keys, strict=True)}  # fmt: skip
    sides = [side.loc[shared] for side in sides]
    if drop_failures:
        read_B = ~np.logical_or(*(side["failed"].to_numpy(dtype=bool) for side in sides))
        left_out["studies where an answer failed"] = int((~read_B).sum())
        sides = [side[read_B] for side in sides]
        if not read_B.any():
            raise UserError("a study that both runs answer readably", "none", "leave out --failures drop")
    label_set = comparable.label_set(names)
    masks = [metrics.label_cells(side["ignored"], label_set) for side in sides]
    truths = [metrics.label_cells(side["truth"], label_set) for side in sides]
    if odd := int(((truths[0] != truths[1]) | (masks[0] != masks[1])).any(axis=1).sum()):
        got = f"other ones for {odd:,} of {len(sides[0]):,} studies"
        raise UserError("the same recorded labels in both runs", got, "score both against the same label files")
    mask_BF, true_BF = tables.counted(sides[0], label_set), truths[0]
    said = [metrics.label_cells(side["predicted"], label_set) & mask_BF for side in sides]
    patients = list(sides[0]["patient_key"].astype(str))
    table = _table(true_BF & mask_BF, said, patients, names, resamples)
    floor = float(comparable.every_label((true_BF & mask_BF).sum(axis=0), mask_BF.sum(axis=0)).mean())
    unfit = [
        comparable.unfit(comparable.commonest_share(list(side["predicted"])), float(table[which].iloc[1]), floor)
        for side, which in zip(sides, ("first", "second"), strict=True)
    ]
    return Compared(
        names=(runs[0].run_id, runs[1].run_id), tier=tiers.pop(),
        where=f"{runs[0].info['dataset']}, {runs[0].info['split']} split", findings=names, policy=policy,
        against=against, studies=len(true_BF), patients=len(set(patients)),
        left_out={why: count for why, count in left_out.items() if count},
        failures=(int(sides[0]["failed"].sum()), int(sides[1]["failed"].sum())),
        unfit=(unfit[0], unfit[1]), table=table, of=digest_of(shared)[:12],
    )  # fmt: skip


def over_seeds(found: Sequence[Compared]) -> Compared:
    """The mean over trainings at several seeds, each on studies of its own, and Student's interval of the difference.

    It varies training and patients at once; both differ from seed to seed. Raises UserError for fewer than two, and for
    comparisons that were not asked alike.
    """
    if len(found) < 2:
        raise UserError("comparisons at two seeds or more", str(len(found)), "name a folder of each seed")
    if len({(one.tier, one.where, one.findings, one.policy, one.against) for one in found}) > 1:
        raise UserError("the same findings and labels at each seed", "others", "compare runs of one plan")
    if len({one.of for one in found}) < len(found):
        raise UserError("studies of its own at each seed", "the same ones twice", "name the runs, not their folders")
    # Which findings are frequent differs from seed to seed, and with it what their average is of.
    tables_ = [one.table[one.table["score"] != "macro-F1 of frequent"].reset_index(drop=True) for one in found]
    table, rare = tables_[0].copy(), dict[str, int]()
    for place in table.index:
        each = pd.DataFrame([one.loc[place] for one in tables_])
        there = each[each["positives"] != 0]  # where nobody has a finding, there is nothing to score
        mean = there[["first", "second", "difference"]].astype(float).mean()
        error = there["difference"].astype(float).std() / np.sqrt(max(1, len(there)))
        reach = float(student.ppf(0.975, len(there) - 1)) * error if len(there) > 1 else float("nan")
        ends = (mean["difference"] - reach, mean["difference"] + reach)
        table.loc[place, list(table.columns[1:])] = [each["positives"].sum(skipna=False), *mean, *ends]
        if 0 < len(there) < len(found):
            rare[f"of {len(found)} trainings for {table['score'][place]}, which no study has there"] = len(found) - len(
                there
            )
    left_out = {why: sum(one.left_out.get(why, 0) for one in found) for one in found for why in one.left_out}
    return replace(
        found[0], studies=sum(one.studies for one in found), patients=sum(one.patients for one in found),
        left_out=left_out | rare,
        failures=(sum(one.failures[0] for one in found), sum(one.failures[1] for one in found)),
        unfit=(_unfit(found, 0), _unfit(found, 1)), table=table, seeds=len(found),
    )  # fmt: skip


def _unfit(found: Sequence[Compared], side: int) -> str:
    reasons = [one.unfit[side] for one in found if one.unfit[side]]
    return f"{reasons[0]} at {len(reasons)} of {len(found)} seeds" if reasons else ""


def open_run(words: str, profile: str, results: Path | None = None) -> Run:
    """A run by its folder, by PROFILE/RUN below the results, or by its name among those of a profile.

    Raises UserError where there is none.
    """
    root = config.results_root(results)
    for place in (written.folder(words), root / words, root / profile / words):
        if run := read(place):
            return tables.known(_whole(run))
    names = [path.parent.name for path in (root / profile).glob("*/run.json")]
    near = f", such as {difflib.get_close_matches(words, names, 1, 0.0)[0]}" if names else ""
    do = "correct it, name its profile with --profile, or give a run's folder"
    raise UserError(f"a run of {profile}{near}", repr(words[-60:]), do)


def profiles(words: str, results: Path | None = None) -> list[str]:
    """A profile by its name; with a star all folders below the results that it fits, as `experiment/runs/seed*`."""
    if "*" not in words:
        return [words]
    root = config.results_root(results)
    found = sorted(name for name in glob(words, root_dir=root) if (root / name).is_dir())
    if not found:
        raise UserError(f"folders below {masked(root, 40)} that fit {words}", "none", "correct --profile")
    return found


def _whole(run: Run) -> Run:
    """The run, whose record says what is needed here; UserError for one that is damaged."""
    about = run.info
    texts = all(isinstance(about.get(name), str) for name in ("dataset", "split", "label_set", "tier", "profile"))
    own = str(about.get("label_set")) in LABEL_SETS or about.get("stage") == tables.OWN
    if not (texts and own and isinstance(about.get("config", {}), dict)):
        raise UserError("the record of a scored run", f"another one in {masked(run.folder, 60)}", "make the run again")
    return run


def rows_of(run: Run, cache: Path | None = None) -> pd.DataFrame:
    """A run's rows, from its folder or from the cache of its profile. Raises UserError where they are in neither."""
    usual = Path(os.environ.get("CHEXREASON_CACHE") or config.ROOT / ".cache") / str(run.info["profile"])
    held = written.folder(cache or usual)
    for place in (run.folder, held / "rows" / run.run_id):
        if (place / "predictions.csv.gz").is_file():
            rows = Run(place, run.info).predictions()
            if lack := {"study_key", "patient_key", "truth", "predicted", "failed"} - set(rows):
                raise UserError(f"the rows of {run.run_id}", f"none called {min(lack)}", "make the run again")
            return rows
    got, do = f"none in its folder or in {masked(held, 40)}", "name the cache of its profile with --cache"
    raise UserError(f"the rows of {run.run_id}", got, do)


def recorded_policy(run: Run) -> str:
    """How a run's labels read uncertain ones."""
    return str(run.info.get("config", {}).get("decoding", {}).get("uncertain", "zeros"))


def with_states(run: Run, rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Rows with what is stated of each finding: as they keep it, or, of drawn images, as the profile has them drawn."""
    held = None if STATES in rows else as_drawn(run, rows, names)
    return rows if held is None else held


def as_drawn(run: Run, rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame | None:
    """Rows with what the hospital records of the drawn studies; None unless the rows' own labels are these."""
    held = labelled(run, rows, names, RECORDED)
    if held is None:
        return None
    again = under(held, tuple(names), recorded_policy(run))
    same = (again["truth"] == rows["truth"]).all() and (again["ignored"] == rows.get("ignored", "")).all()
    return held if same else None  # else the images are others


def drawing(run: Run) -> dict[str, Any] | None:
    """The request for the drawn studies of a run, a profile's or the experiment's; None if they were not drawn."""
    profile, seed = str(run.info.get("profile")), run.info.get("seed")
    draw = _requests(profile).get(str(run.info.get("dataset")), {}).get("draw")
    if profile != plan.PROFILE.stem or not draw:
        return draw
    return plan.draw_at(draw, seed) if isinstance(seed, int) else None


@lru_cache
def _requests(profile: str) -> dict[str, Any]:
    """Data set -> where it lies and how it is drawn, in a profile of the package; empty for another one."""
    if profile == plan.PROFILE.stem:
        return dict(written.raw(str(plan.PROFILE))["data"])
    return dict(written.raw(profile)["data"]) if profile in written.profile_names() else {}


def labelled(run: Run, rows: pd.DataFrame, names: Sequence[str], against: str) -> pd.DataFrame | None:
    """Rows with what is stated of each finding by one of `AGAINST`; None where the studies were not drawn."""
    draw = drawing(run)
    said = stated(draw, str(run.info.get("split")), rows["study_key"], against) if draw else {}
    if set(said) != set(rows["study_key"]):
        return None
    cells = (
        ";".join(f"{name}={said[key][name]:g}" for name in names if name in said[key]) for key in rows["study_key"]
    )
    return rows.assign(**{STATES: list(cells)})


def _can_be_stated(run: Run, rows: pd.DataFrame, names: Sequence[str], against: str) -> frozenset[str]:
    """Findings that labels of a kind say anything of, in any study: text mining, for one, has ten names."""
    held = labelled(run, rows, names, against) if against in AGAINST else None
    if held is None or against == DRAWN:
        return frozenset(names)
    return frozenset(entry.partition("=")[0] for cell in held[STATES] for entry in cell.split(";"))


def _read(run: Run, rows: pd.DataFrame, names: tuple[str, ...], policy: str, against: str) -> pd.DataFrame:
    """A run's rows by study, against the labels and under the policy asked for."""
    if against not in AGAINST:
        raise unknown("kind of labels", against, AGAINST, "companion/phantoms/conventions.py")
    if against != RECORDED:
        held = labelled(run, rows, names, against) if as_drawn(run, rows, names) is not None else None
        if held is None:
            raise UserError(f"drawn studies for --against {against}", f"others in {run.run_id}", "leave --against out")
        rows = under(held, names, policy)
    elif policy != recorded_policy(run):
        rows = with_states(run, rows, names)
        if STATES not in rows:
            wanted = f"rows of {run.run_id} that keep what its label file states, for --uncertain {policy}"
            raise UserError(wanted, f"labels read with {recorded_policy(run)} alone", "leave --uncertain out")
        rows = under(rows, names, policy)
    return rows.assign(failed=rows["failed"].astype(bool), ignored=rows.get("ignored", "")).set_index("study_key")


def _table(
    true_BF: metrics.Bools, said: Sequence[metrics.Bools], patients: Sequence[str], names: tuple[str, ...],
    resamples: int,
) -> pd.DataFrame:  # fmt: skip
    """A row a score: micro-F1, the macro averages, each finding, and the operating point without an interval."""
    drawn = resampled_counts(true_BF, said, patients, np.random.default_rng(0), resamples=resamples)
    each, found = f1(drawn), {"micro-F1": f1(drawn.sum(axis=-1))}
    positives = dict(zip(names, true_BF.sum(axis=0).tolist(), strict=True))
    for name, held in comparable.averages(positives).items():
        title = f"macro-F1{name.removeprefix('macro')}"
        found[title] = each[:, :, [names.index(one) for one in held]].mean(axis=-1)
    found |= {name: each[:, :, place] for place, name in enumerate(names)}
    cells = []
    nan, shares = float("nan"), [outcomes.NAMED]
    for name, both_RM in found.items():
        gap = percentiles(both_RM[:, 1] - both_RM[:, 0])
        cells.append((name, positives.get(name, nan), *both_RM[0], gap.estimate, gap.low, gap.high))
    shares += [outcomes.CALLED_NORMAL, outcomes.NORMAL_CALLED] if names[0] == LABEL_SETS["nih9"][0] else []
    for one in shares:
        first, second = (
            float(one.value(one.each(true_BF, said_BF).sum(axis=0, keepdims=True), np.ones(len(names), bool))[0])
            for said_BF in said
        )
        cells.append((one.title, nan, first, second, second - first, nan, nan))
    return pd.DataFrame(cells, columns=["score", "positives", "first", "second", "difference", "low", "high"])
