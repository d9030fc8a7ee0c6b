"""What a profile needs before a stage runs: its drawn data sets, and the scripted teacher's traces of their studies."""

import json
import shutil
from pathlib import Path

from chexreason import cohorts, data, prompts, traces
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.tables import TEXT, read_table
from chexreason.files import write_atomically
from chexreason.labels import positives
from companion.phantoms.teacher import trace
from companion.phantoms.writers import generator_digest, write_tree


def prepare(profile: Profile, *, teach: bool = True) -> None:
    """Draw the trees that the profile asks for and write their traces; real data are left alone.

    A tree that another generator has drawn is drawn anew. Raises UserError as `write_tree` does.
    """
    for place in profile.data.values():
        if place.draw is not None:
            if data.is_phantom(place.root) and data.phantom_request(place.root)["generator"] != generator_digest():
                shutil.rmtree(place.root)
            request = dict(place.draw)
            write_tree(place.root, request.pop("hospital"), request.pop("sizes"), **request)
    if teach and data.is_phantom(profile.data[cohorts.COHORTS["sft"][0]].root):
        write_traces(profile, cohorts.choose(profile, "sft"))


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
