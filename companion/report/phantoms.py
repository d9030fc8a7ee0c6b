"""What the phantoms look like, how hard they are, and how near to real images and to published labels.

They stand in for the paper's data. Images are drawn when the page is built, from fixed seeds, so that they are always
what the code draws; what was measured on many is in `results/phantoms/`, where scripts of `benchmarks/` write it.
"""

import base64
import io
from dataclasses import replace

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import binary_erosion

from chexreason import config
from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from companion.evidence.stats import Interval
from companion.phantoms import (
    HOSPITALS,
    Case,
    at_hospital,
    draw,
    draw_with_masks,
    lesion_of,
    sample_case,
    without,
)
from companion.phantoms.conventions import MINING
from companion.phantoms.findings import DEVICE_SETS
from companion.report.frames import frame_table
from companion.report.plots import picture
from companion.report.theme import Html, badge, block, escape

#: Severities shown, of a scale from 0 to 1.
MILD, SEVERE = 0.3, 0.95
SEED = 7
SIDE = 320  #: pixels of an image on the page
OUTLINE = np.array([240, 180, 40], dtype=np.uint8)  # amber: seen on black and on white
FOLDER = config.RESULTS / "phantoms"
#: Where the network of difficulty.csv learned, and the row that is its mean over findings.
TRAINED_AT, MEAN = "A", "mean"
#: The hospital whose images imitate the real ones of looks.csv.
LIKE_REAL = "C"
#: How far a rate at a simulated hospital may be from the published one.
BAND = 0.05


def finding(name: str, index: int | None = None) -> Html:
    """One finding in one patient: without it, mild, severe, outlined, and severe at the other hospitals."""
    index = FINDINGS.index(name) if index is None else index
    severe = _with_severity(index, name, SEVERE)
    image, where = draw_with_masks(severe, SIDE)
    pictures = [
        (draw(without(severe, name), SIDE), "the same patient without it"),
        (draw(_with_severity(index, name, MILD), SIDE), f"mild ({MILD})"),
        (image, f"severe ({SEVERE}), at hospital {severe.hospital}"),
        (outlined(image, where[name]), "the same image: where it is drawn"),
    ]
    others = [hospital for hospital in HOSPITALS if hospital != severe.hospital]
    pictures += [(draw(at_hospital(severe, one), SIDE), f"the same patient at hospital {one}") for one in others]
    (lesion,) = severe.lesions
    place = {"kind": lesion.kind.replace("+", ", "), "side": lesion.side, "zone": lesion.zone}
    caption = "; ".join(f"{what}: {value}" for what, value in place.items() if value)
    return _images([(picture, f"{name}, {note}", note) for picture, note in pictures], 6, caption)


def hospitals(index: int = 0, findings: tuple[str, ...] = ("Pleural Effusion", "Support Devices")) -> Html:
    """The same patient at the three hospitals, with what each of them records."""
    lesions = tuple(lesion_of(SEED, index, name) for name in findings)
    case = replace(sample_case(SEED, index, next(iter(HOSPITALS))), lesions=lesions)
    images = []
    for moved in (at_hospital(case, name) for name in HOSPITALS):
        recorded = ", ".join(label for label, value in moved.recorded.items() if value == 1.0) or "no label"
        note = f"hospital {moved.hospital} records: {recorded}"
        images.append((draw(moved, SIDE), note, note))
    return _images(images, 3, f"Visible on all: {_visible(case)}.")


def gallery(hospital: str, count: int = 8) -> Html:
    """The first studies that a hospital draws, whatever they show."""
    cases = [sample_case(SEED, index, hospital) for index in range(count)]
    return _images([(draw(case), f"hospital {hospital}: {_visible(case)}", _visible(case)) for case in cases])


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image (size, size) as RGB with the edge of a mask in colour."""
    coloured = np.repeat(image[..., None], 3, axis=2)
    coloured[mask & ~binary_erosion(mask, border_value=1)] = OUTLINE
    return coloured


def _with_severity(index: int, name: str, severity: float) -> Case:
    lesion = replace(lesion_of(SEED, index, name), severity=severity)
    if name == SUPPORT_DEVICES:  # more devices, not denser ones
        lesion = replace(lesion, kind=[kinds for least, kinds in DEVICE_SETS if severity >= least][-1][0])
    return replace(sample_case(SEED, index, "A"), lesions=(lesion,))


def _visible(case: Case) -> str:
    return ", ".join(name for name in FINDINGS if name in case.truth and name != NO_FINDING) or NO_FINDING


def _images(images: list[tuple[np.ndarray, str, str]], columns: int = 4, below: str = "") -> Html:
    """(image, text for those who cannot see it, caption) side by side, and a note below."""
    figures = []
    for image, alt, note in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=88)
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}" '
            f'width="{image.shape[1]}" height="{image.shape[0]}" alt="{escape(alt)}">'
            f"<figcaption>{escape(note)}</figcaption></figure>"
        )
    note = f'<p class="cxr-note">{escape(below)}</p>' if below else ""
    return block(f'<div class="cxr-images cxr-images-{columns}">{"".join(figures)}</div>{note}')


def measured(name: str) -> pd.DataFrame:
    """A table of `results/phantoms/`.

    difficulty: hospital, finding ("mean" for the mean), n, positives, auc, low, high.
    looks: source ("real" or a hospital), images, quantity, at, median, low, high.
    cooccurrence: hospital, given ("" for a prevalence), finding, published, simulated, counts, studies, seed.
    """
    return pd.read_csv(FOLDER / f"{name}.csv", keep_default_na=False)


def difficulty() -> Html:
    """The area under the ROC curve of each finding at each hospital, with its interval, the hardest on top."""
    values = measured("difficulty").sort_values("auc").set_index("finding")
    order = [*values[values["hospital"] == TRAINED_AT].index.drop(MEAN), MEAN]
    shown = {
        f"hospital {name}": {finding: Interval(*part.loc[finding, ["auc", "low", "high"]]) for finding in order}
        for name, part in values.groupby("hospital")
    }
    n = " to ".join(map(str, dict.fromkeys((values["n"].min(), values["n"].max()))))
    return picture(
        "How hard each finding is", badge("miniature", f"n = {n} images a hospital"),
        {"Area under the ROC curve": shown}, "area under the ROC curve",
        "Intervals at 95 % over images; the line is chance.", columns=1, line=0.5,
    )  # fmt: skip


def looks() -> Html:
    """Grey levels and power by spatial frequency: real images beside each hospital's."""
    values = measured("looks")
    values["cell"] = [f"{one.median:.1f} ({one.low:.1f} to {one.high:.1f})" for one in values.itertuples()]
    named = {"real": "real images", **{name: f"hospital {name}" for name in sorted(HOSPITALS, key=LIKE_REAL.__ne__)}}
    wide = values.pivot(index=["quantity", "at"], columns="source", values="cell")[list(named)].rename(columns=named)
    wide = wide.rename_axis(["", "quantile, or cycles an image"]).reset_index()
    head = badge("miniature", f"n = {values['images'].min()} images a source", "median (middle 80 %)")
    return frame_table(wide, "Grey levels and frequencies", head=head)


def prevalences() -> Html:
    """Each label's share of studies: published, and recorded by the simulated hospitals; and what is drawn."""
    alone, columns = measured("cooccurrence").query("given == ''"), {}
    for name, part in alone.set_index("finding").groupby("hospital"):
        columns[f"{name}: published"], columns[f"{name}: recorded"] = part["published"], part["simulated"]
        drawn = {finding: rate.drawn for finding, rate in HOSPITALS[str(name)].rates.items() if finding != NO_FINDING}
        columns[f"{name}: drawn"] = pd.Series(drawn)
    shown = pd.DataFrame(columns).reindex(FINDINGS).map(lambda share: "–" if share != share else f"{share:.1%}")
    return frame_table(shown.rename_axis("Label").reset_index(), "Prevalence of each label", dense=True)


def mining() -> Html:
    """How well mined labels agree with what is to be seen, for the findings of which this is assumed."""
    rows = [
        {"Finding": name, "of its mined labels are right": f"{one.ppv:.0%}",
         "of the images that show it have one": f"{one.sensitivity:.0%}"}
        for name, one in MINING.items() if one.assumed
    ]  # fmt: skip
    return frame_table(pd.DataFrame(rows), "Mined labels against what is to be seen, as assumed")


def together() -> Html:
    """How often a label is recorded where another one is: how many of the compared pairs are near, and the farthest."""
    found, rows = measured("cooccurrence").query("given != '' and counts"), []
    for name, pairs in found.groupby("hospital"):
        off = (pairs["simulated"] - pairs["published"]).abs()
        far = pairs.iloc[int(off.to_numpy().argmax())]
        rows.append({
            "Hospital": f"{name}: {HOSPITALS[str(name)].convention}", "Pairs compared": f"{len(pairs)}",
            f"within {100 * BAND:.0f} points": f"{(off <= BAND).sum()}",
            "half of them within": f"{100 * off.median():.1f} points",
            "farthest": f"{far['finding']} where {far['given']} is recorded",
            "published": f"{far['published']:.1%}", "simulated": f"{far['simulated']:.1%}",
        })  # fmt: skip
    label = "Published and simulated: how often one label is recorded where another is"
    head = badge("miniature", f"{found['studies'].iloc[0]:,} studies a hospital", f"seed {found['seed'].iloc[0]}")
    return frame_table(pd.DataFrame(rows), label, title=label, head=head, wrap=["farthest"])
