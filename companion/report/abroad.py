"""What Tables 5 and 6 say, in sentences computed from their values (section 4.4).

The paper's change from the SFT checkpoint to ChexReason is printed without an interval; the audit's is set beside it.
Ours rests on one training of each model, so it has an interval over patients, no direction and no verdict; runs that
score below naming every label take part in nothing.
"""

from pathlib import Path

import pandas as pd

from chexreason.labels import NIH_SHARED
from companion.evidence.audit import uncertainty as sure
from companion.evidence.tables import DATASETS, MODELS, Evidence, gather
from companion.report.leads import (
    ONE_TRAINING,
    VISIBLE,
    enough,
    lead_in,
    places,
    printed_lead,
    scored,
    unfit_of,
    verdict,
    whole,
)
from companion.report.paired import LEVEL, titled
from companion.report.theme import Prose, signed, spoken


def finding(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.4: the change from the SFT checkpoint to ChexReason at the second hospital and at the third."""
    near, far = gather(5, profile, results), gather(6, profile, results)
    at_far = [(n, printed_lead(6, "chexreason", "medgemma_sft", n)) for n in sure.NIH_SIZES]
    sizes = " or ".join(f"{signed(one.low)} to {signed(one.high)} on {n:,} studies" for n, one in at_far)
    at_near = printed_lead(5, "chexreason", "medgemma_sft")
    paragraphs = [
        f"In the paper, going from the SFT checkpoint to ChexReason, macro-F1 over all findings on CheXpert "
        f"{_relative(near, 'paper')}; the change is {spoken(at_near)}, {verdict(at_near)} on its test set. Over the "
        f"nine findings of NIH it {_relative(far, 'paper')}; the change is {signed(at_far[0][1].estimate)} ({sizes}; "
        f"the text that we have states no number). {_paradox(near, far)} The 95% intervals in brackets are ours, from "
        "the printed scores and the supports, and hold no spread between trainings."
    ]
    paragraphs += [_our_change(shown) for shown in (near, far) if whole(shown)]
    return Prose("\n\n".join(paragraphs))


def intervals(profile: str | None = None, results: Path | None = None) -> Prose:
    """The change from SFT to ChexReason in our runs with its spread over patients: paired bootstrap."""
    lines = []
    for number in (5, 6):
        shown = gather(number, profile, results)
        both = scored(shown, "medgemma_sft", "chexreason")
        if both:
            carried = (
                f" Over {enough(both.frequent, len(both.names))} ({', '.join(both.frequent)}), which alone could "
                f"carry a conclusion, it is {spoken(both.difference(0, 1, both.frequent))}."
                if both.frequent
                else f" No finding has enough positives to carry a conclusion among these {both.studies} studies."
            )
            found, out = both.difference(0, 1), unfit_of(shown)
            reasons = [f"{titled(m, shown.tier)} {out[m]}" for m in ("medgemma_sft", "chexreason") if m in out]
            if reasons:
                lines.append(f"{lead_in(shown)} {_dataset(shown)}, no change is given: {'; '.join(reasons)}.")
                continue
            lines.append(
                f"{lead_in(shown)} {_dataset(shown)}, ChexReason minus the SFT checkpoint is "
                f"{signed(found.estimate)} in macro-F1, with a {LEVEL:.0%} interval over {both.patients} patients "
                f"from {signed(found.low)} to {signed(found.high)}.{carried} Both are one training, and "
                "what another training would give is not in the interval."
            )
    return Prose("\n\n".join(lines) or "There are no rows of predictions here, so no interval can be computed.")


def shared_findings(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine findings that both test sets have: a row a model and side.

    The paper sets an average over fourteen findings beside one over nine; this table does not.
    """
    near, far = gather(5, profile, results), gather(6, profile, results)
    rows = []
    for side in ["paper", "ours"] if whole(near) and whole(far) else ["paper"]:
        for model, title in MODELS.items():
            one, other = (shown.side(side, model).reindex(NIH_SHARED).mean() for shown in (near, far))
            fourteen = near.side(side, model)["macro"]
            rows.append(
                {"Values of": "paper" if side == "paper" else near.tier,
                 "Model": title if side == "paper" else titled(model, near.tier),
                 "CheXpert, all fourteen": fourteen, "CheXpert, the nine": one, "NIH, the nine": other,
                 "Change on the nine": other - one}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _our_change(shown: Evidence) -> str:
    """Our SFT checkpoint and ChexReason on one test set, and what forbids a conclusion."""
    start, end = _change(shown, "ours", "medgemma_sft", "chexreason")
    base = shown.side("ours", "medgemma")["macro"]
    out = unfit_of(shown)
    reasons = [f"{titled(model, shown.tier)} {out[model]}" for model in places(shown) if model in out]
    said = (
        f"{lead_in(shown)} {_dataset(shown)}, the untouched base scores {base:.3f}, the SFT checkpoint "
        f"{start:.3f} and ChexReason {end:.3f}: {ONE_TRAINING}."
    )
    return f"{said} Left out of every order: {'; '.join(reasons)}." if reasons else said


def _moved(change: float) -> str:
    return "stays where it was" if abs(change) < VISIBLE else "rises" if change > 0 else "falls"


def _change(shown: Evidence, side: str, start: str, end: str) -> tuple[float, float]:
    return float(shown.side(side, start)["macro"]), float(shown.side(side, end)["macro"])


def _relative(shown: Evidence, side: str) -> str:
    start, end = _change(shown, side, "medgemma_sft", "chexreason")
    share = f", by {abs(end / start - 1):.0%}" if start and abs(end - start) >= VISIBLE else ""
    return f"{_moved(end - start)} as printed ({start:.3f} to {end:.3f}{share})"


def _paradox(near: Evidence, far: Evidence) -> str:
    near_change, far_change = (
        end - start for start, end in (_change(shown, "paper", "medgemma", "medgemma_sft") for shown in (near, far))
    )
    return (
        f"SFT itself changed the untouched model's macro-F1 by {signed(near_change)} on CheXpert and by "
        f"{signed(far_change)} on NIH, as printed."
    )


def _dataset(shown: Evidence) -> str:
    real, hospital = DATASETS[shown.spec.dataset]
    return f"at {hospital} (in place of {real})" if shown.tier == "miniature" else f"on the {real} test set"
