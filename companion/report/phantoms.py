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
    Lesion,
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

#: zone of a lesion -> how a caption names it.
ZONES: dict[str, str] = {
    "upper": "in the upper zone",
    "mid": "in the middle zone",
    "lower": "in the lower zone",
    "apical": "at the apex",
    "lateral": "along the wall",
}


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
    caption = f'<p class="cxr-note">{escape(_place(severe.lesions[0]))}</p>'
    return block(_images([(picture, f"{name}, {note}", note) for picture, note in pictures], columns=6) + caption)


def _place(lesion: Lesion) -> str:
    """Where this patient has it, in words; empty for what lies in the middle."""
    side = {"both": "on both sides", "left": "on the left", "right": "on the right"}.get(lesion.side, "")
    zone = ZONES.get(lesion.zone, "")
    kind = lesion.kind.replace("+", ", ")
    if lesion.finding == SUPPORT_DEVICES:
        return f"Here: {kind}."
    words = ", ".join(part for part in (kind, side, zone) if part)
    return f"Here: {words}." if words else ""


def hospitals(index: int = 0, findings: tuple[str, ...] = ("Pleural Effusion", "Support Devices")) -> Html:
    """The same patient at the three hospitals, with what each of them records."""
    case = sample_case(SEED, index, next(iter(HOSPITALS)))
    case = replace(case, lesions=tuple(lesion_of(SEED, index, name) for name in findings))
    images = []
    for name in HOSPITALS:
        moved = at_hospital(case, name)
        recorded = ", ".join(label for label, value in moved.recorded.items() if value == 1.0) or "no label"
        images.append(
            (draw(moved, SIDE), f"hospital {name}, recorded: {recorded}", f"hospital {name} records: {recorded}")
        )
    return block(_images(images, columns=3) + f'<p class="cxr-note">Visible on all: {escape(_visible(case))}.</p>')


def gallery(hospital: str, count: int = 8) -> Html:
    """The first studies that a hospital draws, whatever they show."""
    cases = [sample_case(SEED, index, hospital) for index in range(count)]
    return block(_images([(draw(case), f"hospital {hospital}: {_visible(case)}", _visible(case)) for case in cases]))


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


def _images(images: list[tuple[np.ndarray, str, str]], columns: int = 4) -> str:
    """(image, text for those who cannot see it, caption) side by side."""
    figures = "".join(
        f'<figure><img src="{_data_uri(image)}" width="{image.shape[1]}" height="{image.shape[0]}" alt="{escape(alt)}">'
        f"<figcaption>{escape(note)}</figcaption></figure>"
        for image, alt, note in images
    )
    return f'<div class="cxr-images cxr-images-{columns}">{figures}</div>'


def _data_uri(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
