"""Writing a tree of phantoms in the real layout of the data set that a hospital imitates (section 3.1).

A tree is whole or it is not one: images first, each written atomically; then the tables and `truth.csv`; and last the
marker `phantom.json`, which holds the request. Until then the request stands in `phantom.json.partial`, and the loaders
refuse the folder. So a run that is stopped resumes, an equal request later is skipped, and another request for the same
folder, or a folder with somebody's own files, is refused before anything is touched.

Case numbers start at a place of their own for each hospital and split: no patient is in two splits, or at two hospitals
unless `case.at_hospital` sends them there.
"""

import ctypes
import gzip
import hashlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from chexreason import labels
from chexreason.data import PHANTOM_MARKER, PHANTOM_UNFINISHED, TRUTH
from chexreason.errors import UserError
from chexreason.files import alone, write_atomically
from companion.phantoms.case import draw, sample_case
from companion.phantoms.hospitals import HOSPITALS
from companion.phantoms.hospitals import hospital as hospital_named
from companion.phantoms.layouts import LAYOUTS, MOST, Drawn, truth_table
from companion.syntax import bare

#: As in MIMIC-CXR-JPG.
JPEG_QUALITY = 95

#: Fewer images than this are drawn in this process: starting others would take longer.
WORTH_A_POOL = 48


def write_tree(
    root: Path, hospital: str, sizes: Mapping[str, int], seed: int, size: int = 224, progress: bool = True,
    workers: int = 2,
) -> None:  # fmt: skip
    """Draw `sizes[split]` studies of each split at a hospital, in its layout, under `root`.

    `size` is the side of an image in pixels. The same arguments give the same bytes, however often the drawing was
    stopped and by however many `workers` it was done. Raises UserError for an unknown hospital, a split that the layout
    does not have, a size out of range, a folder that holds something else, and a full disk.
    """
    name = hospital_named(hospital).layout
    layout = LAYOUTS[name]
    _check(name, sizes)
    root = Path(root).expanduser().absolute()
    request: dict[str, Any] = {
        "hospital": hospital, "layout": name,
        "sizes": {split: sizes[split] for split in layout.splits if sizes.get(split)},
        "seed": seed, "size": size, "generator": generator_digest(),
    }  # fmt: skip
    if _is_done(root, request):
        return
    try:
        with alone(root.parent / f".{root.name}.lock"):
            if _is_done(root, request):  # another process was quicker
                return
            draw(sample_case(seed, first_index(hospital, "train"), hospital), size)  # or UserError
            write_atomically(root / PHANTOM_UNFINISHED, (json.dumps(request, indent=2) + "\n").encode())
            tasks = [(root, request, split, number) for split, n in request["sizes"].items() for number in range(n)]
            drawn = in_parallel(_draw, tasks, workers if len(tasks) >= WORTH_A_POOL else 1)
            bar = tqdm(drawn, f"drawing hospital {hospital}", len(tasks), unit="image", disable=not progress)
            studies = list(bar)
            for path, text in {**layout.tables(studies, size), TRUTH: truth_table(layout, studies)}.items():
                data = text.encode()
                write_atomically(root / path, gzip.compress(data, mtime=0) if path.endswith(".gz") else data)
            (root / PHANTOM_UNFINISHED).replace(root / PHANTOM_MARKER)
    except OSError as error:
        raise UserError(
            f"room and permission to draw phantoms under {root}", error.strerror or str(error),
            "free some space or choose another folder, then run the same command again",
        ) from error  # fmt: skip


def in_parallel(function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """``function(*task)`` for each task, in order, computed by `workers` processes of one thread each."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    with parallel_config("loky", inner_max_num_threads=1, initializer=_end_with_parent):
        yield from Parallel(workers, return_as="generator")(delayed(function)(*task) for task in tasks)
    if workers > 1:
        get_reusable_executor().shutdown()  # or they stay for minutes, with their memory


def _end_with_parent() -> None:
    """A worker whose parent is killed ends at once on Linux; elsewhere after the minutes that it may be idle."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


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
    return (sorted(HOSPITALS).index(hospital) * 10 + ("train", "validate", "test").index(split)) * MOST


def _check(layout: str, sizes: Mapping[str, int]) -> None:
    known = LAYOUTS[layout].splits
    for split, n in sizes.items():
        if split not in known:
            raise UserError(f"a split of the {layout} layout among {', '.join(known)}", repr(split), "change the sizes")
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n <= MOST:
            raise UserError(f"between 0 and {MOST} studies of split {split!r}", repr(n), "change the sizes")
    if not any(sizes.values()):
        raise UserError("at least one study to draw", repr(dict(sizes)), "change the sizes")


def _is_done(root: Path, request: Mapping[str, Any]) -> bool:
    """Whether the tree is whole; UserError when the folder holds anything but (a part of) this tree."""
    for marker in (root / PHANTOM_MARKER, root / PHANTOM_UNFINISHED):
        if marker.is_file():
            try:
                other = json.loads(marker.read_text(encoding="utf-8"))
            except ValueError:
                other = {}
            if other == request:
                return marker.name == PHANTOM_MARKER
            differs = ", ".join(
                f"{name} {str(other.get(name))[:60]} and not {str(wanted)[:60]}"
                for name, wanted in request.items()
                if other.get(name) != wanted
            )
            raise UserError(
                f"the requested phantoms in {root}", f"a tree of another request ({differs})",
                f"delete the folder {root}, or choose another one",
            )  # fmt: skip
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        what = "files that were not drawn here" if root.is_dir() else "a file"
        raise UserError(f"an empty folder to draw phantoms into at {root}", what, "choose another folder")
    return False


def _draw(root: Path, request: Mapping[str, Any], split: str, number: int) -> Drawn:
    """Draw one study's images, if they are not there, and say what the tables record of it."""
    hospital, size = request["hospital"], request["size"]
    case = sample_case(request["seed"], first_index(hospital, split) + number, hospital)
    files = LAYOUTS[request["layout"]].files(split, number)
    if not (root / files.image).is_file():
        save_image(draw(case, size), root / files.image)
    if files.second is not None and not (root / files.second).is_file():
        save_image(np.full((size, size), 128, np.uint8), root / files.second)
    lesions = tuple(lesion.to_dict() for lesion in case.lesions)
    return Drawn(split, number, case.acquisition.view, case.recorded, case.truth, lesions)


def save_image(image_HW: np.ndarray, path: Path) -> None:
    """Write an image (H, W) uint8 as its file's name says, PNG or JPEG, whole or not at all."""
    data = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if path.suffix == ".jpg" else {}
    Image.fromarray(image_HW).save(data, {".jpg": "JPEG", ".png": "PNG"}[path.suffix], **options)
    write_atomically(path, data.getvalue())
