"""Writing a tree of phantoms in the real layout of the data set that a hospital imitates (section 3.1).

A tree is whole or it is not one: films first, each written aside and renamed; then the tables and
`truth.csv`; and last the marker `phantom.json`, which holds the request. Until then the request
stands in `phantom.json.partial`, and the loaders refuse the folder. So a run that is stopped goes
on where it stopped, an equal request later is skipped, and another request for the same folder, or
a folder with somebody's own files, is refused before anything is touched.

Case numbers start at a place of their own for each hospital and split: no patient is in two splits,
or at two hospitals unless `case.at_hospital` sends them there.
"""

import fcntl
import gzip
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from chexreason import labels
from chexreason.data import PHANTOM_MARKER, PHANTOM_UNFINISHED, TRUTH
from chexreason.errors import UserError
from chexreason.files import write_atomically
from companion.phantoms.case import draw, sample_case
from companion.phantoms.hospitals import HOSPITALS
from companion.phantoms.hospitals import hospital as hospital_named
from companion.phantoms.layouts import LAYOUTS, MOST, Drawn, Layout, truth_table
from companion.syntax import bare

#: As in MIMIC-CXR-JPG.
JPEG_QUALITY = 95

#: Fewer films than this are drawn in this process: starting others would take longer.
WORTH_A_POOL = 48


@dataclass(frozen=True)
class _Task:
    """One study to draw: plain data, so that it can go to another process."""

    seed: int
    index: int
    hospital: str
    enrichment: float
    shortcut: float
    split: str
    number: int
    size: int
    film: Path
    extra: Path | None


def write_tree(
    root: Path,
    hospital: str,
    sizes: Mapping[str, int],
    seed: int,
    size: int = 224,
    progress: bool = True,
    *,
    enrichment: float = 1.0,
    shortcut: float = 1.0,
    workers: int = 2,
) -> None:
    """Draw `sizes[split]` studies of each split at a hospital, in its layout, under `root`.

    `size` is the side of a film in pixels; `enrichment` and `shortcut` are those of `case.sample_case`. The same
    arguments give the same bytes, however often the drawing was stopped and by however many
    `workers` it was done. Raises UserError for an unknown hospital, a split that the layout does
    not have, a size out of range, a folder that holds something else, and a full disk.
    """
    place = hospital_named(hospital)
    layout = LAYOUTS[place.layout]
    _check(layout, sizes)
    root = Path(root).expanduser().absolute()
    request = {
        "hospital": hospital,
        "layout": place.layout,
        "sizes": {split: sizes[split] for split in layout.splits if sizes.get(split)},
        "seed": seed,
        "size": size,
        "enrichment": enrichment,
        "shortcut": shortcut,
        "generator": generator_digest(),
    }
    if _is_done(root, request):
        return
    try:
        with _alone(root):
            if _is_done(root, request):  # another process was quicker
                return
            draw(
                sample_case(seed, first_index(hospital, "train"), hospital, enrichment, shortcut), size
            )  # or UserError
            root.mkdir(parents=True, exist_ok=True)
            write_atomically(root / PHANTOM_UNFINISHED, _json(request))
            tasks = _tasks(root, layout, request)
            studies = list(_drawn(tasks, f"drawing hospital {hospital}", progress, workers))
            for path, text in {**layout.tables(studies, size), TRUTH: truth_table(layout, studies)}.items():
                data = text.encode()
                write_atomically(root / path, gzip.compress(data, mtime=0) if path.endswith(".gz") else data)
            (root / PHANTOM_UNFINISHED).replace(root / PHANTOM_MARKER)
    except OSError as error:
        raise UserError(
            f"room and permission to draw phantoms under {root}",
            error.strerror or str(error),
            "free some space or choose another folder, then run the same command again: it goes on where it stopped",
        ) from error


def generator_digest() -> str:
    """SHA-256 over the code and tables that decide what a tree holds; another digest is another tree.

    Code counts as parsed (`syntax.bare`): a comment changes nothing. `prepare` decides no pixel and no label.
    """
    folder = Path(__file__).parent
    code = [path for path in sorted(folder.glob("*.py")) if path.stem not in ("prepare", "miniature")]
    digest = hashlib.sha256()
    for source in [*code, *sorted(folder.glob("*.csv")), Path(labels.__file__)]:
        text = source.read_text(encoding="utf-8")
        digest.update(f"{source.name}\0{bare(text) if source.suffix == '.py' else text}".encode())
    return digest.hexdigest()


def first_index(hospital: str, split: str) -> int:
    """The case number of a split's first study.

    >>> first_index("A", "train"), first_index("A", "test"), first_index("B", "train")
    (0, 2000000, 10000000)
    """
    places = {"train": 0, "validate": 1, "test": 2}
    return sorted(HOSPITALS).index(hospital) * 10 * MOST + places[split] * MOST


def _check(layout: Layout, sizes: Mapping[str, int]) -> None:
    for split, n in sizes.items():
        if split not in layout.splits:
            known = ", ".join(layout.splits)
            raise UserError(f"a split of the {layout.source} layout among {known}", repr(split), "change the sizes")
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n <= MOST:
            raise UserError(f"between 0 and {MOST} studies of split {split!r}", repr(n), "change the sizes")
    if not any(sizes.values()):
        raise UserError("at least one study to draw", repr(dict(sizes)), "change the sizes")


def _is_done(root: Path, request: Mapping[str, Any]) -> bool:
    """Whether the tree is whole; UserError when the folder holds anything but (a part of) this tree."""
    for marker in (root / PHANTOM_MARKER, root / PHANTOM_UNFINISHED):
        if marker.is_file():
            other = _read(marker)
            if other == request:
                return marker.name == PHANTOM_MARKER
            differs = [name for name in request if other.get(name) != request[name]]
            told = ", ".join(f"{name} {_short(other.get(name))} and not {_short(request[name])}" for name in differs)
            raise UserError(
                f"the phantoms that were asked for in {root}",
                f"a tree of another request ({told})",
                f"delete the folder {root}, or choose another one",
            )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(
            f"an empty folder to draw phantoms into at {root}",
            "files that were not drawn here" if root.is_dir() else "a file",
            "choose another folder",
        )
    return False


def _read(marker: Path) -> dict[str, Any]:
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:13] + '..."'


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait for any other process that draws the same tree (two notebooks started at once, say)."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / f".{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tasks(root: Path, layout: Layout, request: Mapping[str, Any]) -> list[_Task]:
    tasks = []
    for split, n in request["sizes"].items():
        start = first_index(request["hospital"], split)
        for number in range(n):
            extra = layout.extra(split, number)
            tasks.append(
                _Task(
                    seed=request["seed"],
                    index=start + number,
                    hospital=request["hospital"],
                    enrichment=request["enrichment"],
                    shortcut=request["shortcut"],
                    split=split,
                    number=number,
                    size=request["size"],
                    film=root / layout.film(split, number),
                    extra=None if extra is None else root / extra,
                )
            )
    return tasks


def _drawn(tasks: Sequence[_Task], title: str, progress: bool, workers: int) -> Iterator[Drawn]:
    """The drawn studies in the order of the tasks; films that are there already are kept."""
    with tqdm(total=len(tasks), desc=title, unit="film", disable=not progress) as bar:
        if workers < 2 or len(tasks) < WORTH_A_POOL:
            for task in tasks:
                yield _draw(task)
                bar.update()
            return
        with _one_thread_each(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            with _plain_main():
                studies = pool.map(_draw, tasks, chunksize=8)  # starts the processes
            try:
                for study in studies:
                    yield study
                    bar.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """New processes inherit one thread for numerical libraries: they share the cores already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _plain_main() -> Iterator[None]:
    """Keep new processes from running the main module again.

    They would, to find functions defined there; ours are not. Without this a script needs a
    ``__main__`` guard, one read from standard input fails, and one that imports torch starts slowly.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _draw(task: _Task) -> Drawn:
    case = sample_case(task.seed, task.index, task.hospital, task.enrichment, task.shortcut)
    if not task.film.is_file():
        _save(draw(case, task.size), task.film)
    if task.extra is not None and not task.extra.is_file():
        _save(np.full((task.size, task.size), 128, np.uint8), task.extra)
    lesions = tuple(lesion.to_dict() for lesion in case.lesions)
    return Drawn(task.split, task.number, case.acquisition.view, case.recorded, case.truth, lesions)


def _save(film_HW: np.ndarray, path: Path) -> None:
    """Encode in memory, write aside, rename: no path ever holds a part of a film (no sync: they are many)."""
    data = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if path.suffix == ".jpg" else {}
    Image.fromarray(film_HW).save(data, {".jpg": "JPEG", ".png": "PNG"}[path.suffix], **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".partial")
    try:
        aside.write_bytes(data.getvalue())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
