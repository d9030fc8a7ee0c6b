"""Pictures of the phantoms: each finding mild and severe, the same patient without it, and three hospitals.

The films stand in for the data of the paper's section 3.1. They are drawn when the page is built,
from fixed seeds, so that they are always what the code draws.
"""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from chexreason.labels import FINDINGS, NO_FINDING
from chexreason.phantom import (
    FINDING_PAINTERS,
    HOSPITALS,
    Case,
    at_hospital,
    draw,
    draw_with_masks,
    lesion_of,
    sample_case,
    without,
)
from chexreason.report.theme import Html, block, escape

#: Severities shown, of a scale from 0 to 1.
MILD, SEVERE = 0.3, 0.95
SEED = 7
OUTLINE = np.array([240, 180, 40], dtype=np.uint8)  # amber: seen on black and on white


def shown_findings() -> list[str]:
    """The findings that can be drawn, in the order of the labels."""
    return [name for name in FINDINGS if name in FINDING_PAINTERS]


def finding(name: str, index: int | None = None) -> Html:
    """One finding in one patient: mild, severe, severe with its outline, and the patient without it."""
    index = FINDINGS.index(name) if index is None else index
    severe = _with_severity(index, name, SEVERE)
    image, where = draw_with_masks(severe)
    pictures = [
        (draw(_with_severity(index, name, MILD)), f"mild ({MILD})"),
        (image, f"severe ({SEVERE})"),
        (outlined(image, where[name]), "where it is drawn"),
        (draw(without(severe, name)), "the same patient without it"),
    ]
    return block(_films([(picture, f"{name}, {note}", note) for picture, note in pictures]))


def hospitals(index: int = 0, findings: tuple[str, ...] = ("Pleural Effusion", "Support Devices")) -> Html:
    """The same patient at the three hospitals, with what each of them records."""
    case = sample_case(SEED, index, next(iter(HOSPITALS)))
    case = replace(case, lesions=tuple(lesion_of(SEED, index, name) for name in findings))
    films = []
    for name in HOSPITALS:
        moved = at_hospital(case, name)
        recorded = ", ".join(label for label, value in moved.recorded.items() if value == 1.0) or "no label"
        films.append((draw(moved), f"hospital {name}, recorded: {recorded}", f"hospital {name} records: {recorded}"))
    return block(_films(films, columns=3) + f'<p class="cxr-note">Visible on all: {escape(_visible(case))}.</p>')


def gallery(hospital: str, count: int = 8) -> Html:
    """The first studies that a hospital draws, whatever they show."""
    cases = [sample_case(SEED, index, hospital) for index in range(count)]
    return block(_films([(draw(case), f"hospital {hospital}: {_visible(case)}", _visible(case)) for case in cases]))


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The film (size, size) as RGB with the edge of a mask in colour."""
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(mask, shift, axis)
    coloured = np.repeat(image[..., None], 3, axis=2)
    coloured[mask & ~inner] = OUTLINE
    return coloured


def _with_severity(index: int, name: str, severity: float) -> Case:
    lesion = replace(lesion_of(SEED, index, name), severity=severity)
    return replace(sample_case(SEED, index, "A"), lesions=(lesion,))


def _visible(case: Case) -> str:
    return ", ".join(name for name in FINDINGS if name in case.truth and name != NO_FINDING) or NO_FINDING


def _films(films: list[tuple[np.ndarray, str, str]], columns: int = 4) -> str:
    """(film, text for those who cannot see it, caption) side by side."""
    figures = "".join(
        f'<figure><img src="{_data_uri(film)}" width="{film.shape[1]}" height="{film.shape[0]}" alt="{escape(alt)}">'
        f"<figcaption>{escape(note)}</figcaption></figure>"
        for film, alt, note in films
    )
    return f'<div class="cxr-films cxr-films-{columns}">{figures}</div>'


def _data_uri(film: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
