"""The pictures that the miniatures are pre-trained on, drawn once and kept in the cache; a stopped drawing resumes.

A *cell* is the patch of image behind one image token (6 x 6 cells of 28 px for an image of 168 px); it holds a concept
if the concept's mask covers enough of it. Phantoms know where each finding was drawn, and that is what makes so small
a vision encoder learn from so few images.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from chexreason.files import digest_of, file_digest, write_atomically
from companion.phantoms import draw_with_masks, sample_case
from companion.phantoms.copula import DRAWN
from companion.phantoms.pretrain import IMAGE_PX, IMAGE_TOKENS, drawings
from companion.phantoms.writers import generator_digest, in_parallel

SIDE = round(IMAGE_TOKENS**0.5)
#: Share of a cell that a mask has to cover before the cell counts as showing the concept.
COVER = 0.04
#: Pixels a side at which a phantom is drawn before it is shrunk, and pictures a file.
DRAWN_PX, PART = 224, 50


@dataclass(frozen=True)
class Request:
    """What a pool holds: `count` pictures of a kind ("A", "B", "C" or "drawings") from a seed."""

    kind: str
    count: int
    seed: int
    enrichment: float = 1.0

    @property
    def concepts(self) -> tuple[str, ...]:
        """What its pictures may show."""
        return drawings.CONCEPTS if self.kind == "drawings" else DRAWN

    @property
    def digest(self) -> str:
        """SHA-256 over the request and the code that draws it: other code draws other pictures."""
        code = file_digest(Path(drawings.__file__)) if self.kind == "drawings" else generator_digest()
        return digest_of([asdict(self), code])


def cells_of(masks: dict[str, np.ndarray], concepts: Sequence[str]) -> np.ndarray:
    """Which concept is seen in which cell: masks (size, size) bool -> (SIDE * SIDE, concepts) bool."""
    seen = np.zeros((SIDE * SIDE, len(concepts)), dtype=bool)
    for name, mask in masks.items():
        edges = np.linspace(0, len(mask), SIDE + 1).astype(int)[:-1]
        rows = np.add.reduceat(np.add.reduceat(mask.astype(np.int32), edges, 0), edges, 1)
        share = rows / (len(mask) / SIDE) ** 2
        # A thin thing (a fracture, a lead) may cover little of any cell; its fullest cell counts.
        seen[:, concepts.index(name)] = (share >= min(COVER, share.max())).ravel() & (share.ravel() > 0)
    return seen


def _picture(request: Request, index: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Picture number `index`: (px, px) uint8, its cells (cells, concepts) bool, and what a lesson may say of it."""
    if request.kind == "drawings":
        image, masks = drawings.draw(np.random.default_rng([request.seed, index]), IMAGE_PX)
        return image, cells_of(masks, request.concepts), {"shapes": sorted(masks)}
    case = sample_case(request.seed, index, request.kind, request.enrichment)
    drawn, masks = draw_with_masks(case, DRAWN_PX)
    image = np.asarray(Image.fromarray(drawn).resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BILINEAR))
    lesions = [lesion.to_dict() for lesion in case.lesions]
    about = {"lesions": lesions, "truth": sorted(case.truth), "recorded": case.recorded}
    return image, cells_of(masks, request.concepts), about


def _draw_part(request: Request, start: int, part: Path) -> None:
    """Draw the pictures from `start` on into a file of the pool."""
    stop = min(start + PART, request.count)
    images, cells, about = zip(*(_picture(request, index) for index in range(start, stop)), strict=True)
    data = io.BytesIO()
    np.savez(data, images=np.stack(images), cells=np.stack(cells), about=json.dumps(about))
    write_atomically(part, data.getvalue())


def pool(request: Request, cache: Path, workers: int = 2) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """images (N, px, px), cells (N, cells, concepts) and what each shows; drawn now or read from the cache."""
    folder = cache / "pools" / f"{request.kind}-{request.count}-{request.digest[:8]}"
    parts = {folder / f"part-{start:06d}.npz": start for start in range(0, request.count, PART)}
    missing = [(request, start, part) for part, start in parts.items() if not part.is_file()]
    if missing:
        drawn = in_parallel(_draw_part, missing, workers)
        list(tqdm(drawn, f"draw {request.kind}", len(missing), unit="part", mininterval=5))
    loaded = [np.load(part) for part in parts]
    images, cells = (np.concatenate([part[name] for part in loaded]) for name in ("images", "cells"))
    return images, cells, [about for part in loaded for about in json.loads(str(part["about"]))]
