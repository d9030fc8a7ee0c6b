"""The pictures that the miniatures are pre-trained on, drawn once and kept in the cache; a stopped drawing goes on.

A pool is a folder with `films.npy` (N, px, px) uint8, `cells.npy` (N, cells, concepts) bool and
`about.json`. A *cell* is the patch of film behind one image token (6 x 6 cells of 28 px for a film
of 168 px); it holds a concept if the concept's mask covers enough of it. Phantoms know where
each finding was drawn, and that is what makes so small a tower learn from so few films.
"""

import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from chexreason.files import digest_of, file_digest, write_atomically
from companion.phantoms import draw_with_masks, sample_case
from companion.phantoms.miniature import FILM_PX, IMAGE_TOKENS
from companion.phantoms.pretrain import drawings
from companion.phantoms.writers import generator_digest

SIDE = round(IMAGE_TOKENS**0.5)
#: Share of a cell that a mask has to cover before the cell counts as showing the concept.
COVER = 0.04
FILM_DRAWN_PX = 224


@dataclass(frozen=True)
class Request:
    """What a pool holds: `count` pictures of a kind ("A", "B", "C" or "drawings") from a seed."""

    kind: str
    count: int
    seed: int
    enrichment: float = 1.0

    @property
    def digest(self) -> str:
        """SHA-256 over the request and the code that draws it: other code draws other pictures."""
        code = file_digest(Path(drawings.__file__)) if self.kind == "drawings" else generator_digest()
        return digest_of([asdict(self), code])


@dataclass(frozen=True)
class Picture:
    """One picture with what it shows, as plain data for the lessons."""

    film: np.ndarray  # (px, px) uint8
    cells: np.ndarray  # (cells, concepts) bool
    about: dict[str, Any]


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


def draw_phantom(request: Request, index: int) -> Picture:
    """Film number `index` of a pool of phantoms, with its lesions, visible truth and recorded labels."""
    from companion.phantoms.pretrain.tower import CONCEPTS

    case = sample_case(request.seed, index, request.kind, request.enrichment)
    drawn, masks = draw_with_masks(case, FILM_DRAWN_PX)
    film = np.asarray(Image.fromarray(drawn).resize((FILM_PX, FILM_PX), Image.Resampling.BILINEAR))
    about = {
        "lesions": [lesion.to_dict() for lesion in case.lesions],
        "truth": sorted(case.truth),
        "recorded": case.recorded,
    }
    return Picture(film, cells_of(masks, CONCEPTS), about)


def draw_general(request: Request, index: int) -> Picture:
    """Drawing number `index`: shapes on a ground, never a chest."""
    rng = np.random.default_rng([request.seed, index])
    film, masks = drawings.draw(rng, FILM_PX)
    return Picture(film, cells_of(masks, drawings.CONCEPTS), {"shapes": sorted(masks)})


def _draw_part(job: tuple[Request, int, int, Path]) -> int:
    """Draw pictures `start` to `stop` into a part of the pool, if it is not there; how many they are."""
    request, start, stop, part = job
    if not part.is_file():
        one: Callable[[Request, int], Picture] = draw_general if request.kind == "drawings" else draw_phantom
        pictures = [one(request, index) for index in range(start, stop)]
        films, cells = np.stack([p.film for p in pictures]), np.stack([p.cells for p in pictures])
        whole = io.BytesIO()
        np.savez(whole, films=films, cells=cells, about=json.dumps([p.about for p in pictures]))
        write_atomically(part, whole.getvalue())
    return stop - start


def pool(request: Request, cache: Path, processes: int = 2) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """films (N, px, px), cells (N, cells, concepts) and what each shows; drawn now or read from the cache."""
    folder = cache / "pools" / f"{request.kind}-{request.count}-{request.digest[:8]}"
    if not (folder / "about.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        step = 50
        jobs = [
            (request, i, min(i + step, request.count), folder / f"part-{i:06d}.npz")
            for i in range(0, request.count, step)
        ]
        with (
            ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as workers,
            tqdm(total=request.count, desc=f"draw {request.kind}", unit="film", mininterval=5) as bar,
        ):
            for count in workers.map(_draw_part, jobs):
                bar.update(count)
        parts = [np.load(part) for _, _, _, part in jobs]
        for name in ("films", "cells"):
            np.save(folder / f"{name}.npy", np.concatenate([part[name] for part in parts]))
        abouts = [one for part in parts for one in json.loads(str(part["about"]))]
        write_atomically(folder / "about.json", json.dumps(abouts).encode())  # last: with it the pool is whole
        for _, _, _, part in jobs:
            part.unlink()
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return np.load(folder / "films.npy"), np.load(folder / "cells.npy"), about
