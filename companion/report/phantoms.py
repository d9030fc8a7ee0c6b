"""Pictures of the phantoms: each finding mild and severe, the same patient without it, at three hospitals.

The images stand in for the paper's data. They are drawn when the page is built,
from fixed seeds, so that they are always what the code draws.
"""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
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
from companion.phantoms.findings import DEVICE_SETS
from companion.report.theme import Html, block, escape

#: Severities shown, of a scale from 0 to 1.
MILD, SEVERE = 0.3, 0.95
SEED = 7
SIDE = 320  #: pixels of an image on the page
OUTLINE = np.array([240, 180, 40], dtype=np.uint8)  # amber: seen on black and on white


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
    others = [place for place in HOSPITALS if place != severe.hospital]
    pictures += [(draw(at_hospital(severe, place), SIDE), f"the same patient at hospital {place}") for place in others]
    (lesion,) = severe.lesions
    where = {"kind": lesion.kind.replace("+", ", "), "side": lesion.side, "zone": lesion.zone}
    caption = "; ".join(f"{what}: {value}" for what, value in where.items() if value)
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
