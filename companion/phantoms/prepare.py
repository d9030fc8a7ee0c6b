"""What a profile needs before a stage runs: its drawn data sets, and the scripted teacher's traces of their studies."""

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexreason import cohorts, data, prompts, traces
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.tables import TEXT, read_table
from chexreason.errors import UserError
from chexreason.files import alone, write_atomically
from chexreason.labels import positives
from companion.phantoms.case import sample_case
from companion.phantoms.layouts import LAYOUTS, Drawn, truth_table
from companion.phantoms.teacher import trace
from companion.phantoms.writers import first_index, generator_digest, write_tree

#: What a drawn image begins with and ends in.
ENDS = {".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"), ".jpg": (b"\xff\xd8\xff", b"\xff\xd9")}


def prepare(profile: Profile, *, teach: bool = True) -> None:
    """Draw the trees that the profile asks for and write their traces; real data are left alone.

    A tree that another generator has drawn, or whose request is damaged, is drawn anew, and so are the tables that are
    not as drawn and the images that are gone or cut. Raises UserError as `write_tree` does.
    """
    for place in map(profile.data.__getitem__, profile.used):
        if place.draw is not None:
            _clear(place.root)
            request = dict(place.draw)
            write_tree(place.root, request.pop("hospital"), request.pop("sizes"), **request)
    if teach and "sft" in profile.stages and data.is_phantom(profile.data[cohorts.COHORTS["sft"][0]].root):
        write_traces(profile, cohorts.choose(profile, "sft"))


def is_whole(image: Path) -> bool:
    """Whether a drawn image is there from its beginning to its end; its pixels are not looked at."""
    begin, end = ENDS[image.suffix]
    try:
        with image.open("rb") as file:
            if file.read(len(begin)) != begin:
                return False
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:
        return False


def _clear(root: Path) -> None:
    """Take away what has to be drawn anew, and the mark of a tree that is whole: `write_tree` draws the rest of it."""
    if not _stale(root):
        return
    with alone(root.parent / f".{root.name}.lock"):
        stale = _stale(root)  # nothing, if another process was quicker
        for path in stale:
            path = next((above for above in path.parents if above.is_file()), path)  # a file where a folder should be
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        if stale and data.is_phantom(root):
            (root / data.PHANTOM_MARKER).replace(root / data.PHANTOM_UNFINISHED)


def _stale(root: Path) -> list[Path]:
    """Of a whole tree, what is not as it was drawn: all of it, unless it says that this generator has drawn it."""
    if (half := root / data.PHANTOM_UNFINISHED).exists():
        try:
            ours = json.loads(half.read_bytes())["generator"] == generator_digest()
        except (OSError, ValueError, RecursionError, LookupError, TypeError):
            ours = False
        # Of this generator it goes on, and a mark beside it would call it whole.
        return ([root / data.PHANTOM_MARKER] if data.is_phantom(root) else []) if ours else [root]
    if not (data.is_phantom(root) or (root / data.TRUTH).exists()):
        return []
    try:
        request = data.phantom_request(root)
        return _not_as_drawn(root, request) if request.get("generator") == generator_digest() else [root]
    except (UserError, OSError, LookupError, TypeError, AttributeError, ValueError, OverflowError):
        return [root]  # a request of another shape


def _not_as_drawn(root: Path, request: Mapping[str, Any]) -> list[Path]:
    files = [LAYOUTS[request["layout"]].files(split, k) for split, n in request["sizes"].items() for k in range(n)]
    names = [name for one in files for name in (one.image, one.second) if name]
    cut = [root / name for name in names if not is_whole(root / name)]
    return cut + [root / name for name, text in _tables(request).items() if not _holds(root / name, text)]


def _tables(request: Mapping[str, Any]) -> dict[str, str]:
    """Each table of a tree, by its path, as `write_tree` wrote it."""
    hospital, studies, layout = request["hospital"], list[Drawn](), LAYOUTS[request["layout"]]
    for split, n in request["sizes"].items():
        for number in range(n):
            case = sample_case(request["seed"], first_index(hospital, split) + number, hospital)
            lesions = tuple(lesion.to_dict() for lesion in case.lesions)
            studies.append(Drawn(split, number, case.acquisition.view, case.recorded, case.truth, lesions))
    return {**layout.tables(studies, request["size"]), data.TRUTH: truth_table(layout, studies)}


def _holds(table: Path, text: str) -> bool:
    try:
        there = table.read_bytes()
        return (gzip.decompress(there) if table.suffix == ".gz" else there) == text.encode()
    except (OSError, EOFError, zlib.error):
        return False


def lesions(root: Path) -> dict[str, list[dict[str, object]]]:
    """study key -> what was drawn on its image (finding, severity, side, ...), for the scripted teacher."""
    table = read_table(root / data.TRUTH, {"study_key": TEXT, "lesions": TEXT}, public=True)
    return {key: json.loads(cell) for key, cell in table.itertuples(index=False)}


def write_traces(profile: Profile, chosen: Cohort) -> None:
    """A trace in each format for each study of a cohort of phantoms, where `chexreason.traces` looks for them."""
    drawn = lesions(chosen.root)
    for name in prompts.SFT_FORMATS:
        prompt, rng = prompts.get(name), cohorts.stream(profile.seed, f"traces {name}")
        lines = []
        for study in chosen.studies:
            labels = positives(study.labels, profile.decoding.uncertain)
            line = {"study": study.key, "trace": trace(drawn[study.key], labels, prompt, rng)}
            lines.append(json.dumps(line) + "\n")
        path, text = traces.place(profile, prompt), "".join(lines).encode()
        if not path.is_file() or path.read_bytes() != text:
            write_atomically(path, text)
