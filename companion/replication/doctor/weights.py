"""The models' weights, and the teacher's traces with what writes them.

Weights may lie in a folder, in the Hugging Face cache, or be fetched when a run starts. The last needs a
hub that answers and, for gated weights, a token whose owner has accepted the terms: the hub is asked for
the head of one small file, as a run would ask. The teacher is not asked: that could cost money.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from chexreason import cohorts, data, prompts, traces
from chexreason.config import Profile
from chexreason.errors import UserError
from companion.replication.doctor.row import MISSING, READY, Row
from companion.replication.traces.teacher import permit, teacher_of

#: Bytes of the published weights in bfloat16: two a weight, of 4.30 and 3.75 billion.
PUBLISHED: Mapping[str, int] = {"medgemma": 8_600_158_944, "qwen": 7_509_245_952, "nv_reason": 7_509_245_952}
#: Seconds to wait for the hub.
PATIENCE = 10


def check(profile: Profile) -> Iterator[Row]:
    """The three base models, then the teacher."""
    for base, source in profile.models.items():
        yield _weights(base, source)
    yield from _teacher(profile)


def size_of(base: str, source: str) -> int:
    """Bytes of a base model's weights: those in its folder, or the published ones."""
    folder = Path(source)
    return sum(p.stat().st_size for p in folder.glob("*.safetensors")) if folder.is_dir() else PUBLISHED.get(base, 0)


def told_size(size: float) -> str:
    """Bytes as megabytes or gigabytes.

    >>> told_size(8_600_158_944), told_size(5_300_000)
    ('8.6 GB', '5 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def to_fetch(base: str, source: str) -> int:
    """Bytes that are still to be fetched."""
    return 0 if Path(source).is_dir() or cached(base, source) else size_of(base, source)


def revision_of(base: str, repo: str) -> str:
    """The commit that the study pins; the latest where torch, which the families need, is not installed."""
    try:
        from chexreason.models.families import FAMILIES
    except ImportError:
        return "main"
    return FAMILIES[base].revision_of(repo)


def cached(base: str, repo: str) -> bool:
    """Whether the pinned weights of a repository are whole in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repo, "config.json", revision=revision_of(base, repo))
    except HFValidationError:  # a path to a folder that is not there
        return False
    return isinstance(found, str) and not lacking(Path(found).parent)


def lacking(folder: Path) -> str:
    """The first file of a checkpoint that is not in its folder; nothing where it is whole."""
    index = folder / "model.safetensors.index.json"
    files = ["config.json"]
    if index.is_file():
        files += sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        files.append("model.safetensors")
    return next((name for name in files if not (folder / name).is_file()), "")


def _weights(base: str, source: str) -> Row:
    title, folder = f"weights: {base}", Path(source)
    size = size_of(base, source)
    if folder.is_dir():
        without = lacking(folder)
        if without:
            return Row(title, MISSING, f"no {without} in {folder}", "copy the whole checkpoint there")
        return Row(title, READY, f"in a folder, {told_size(size)}")
    if cached(base, source):
        return Row(title, READY, f"{source}, in the Hugging Face cache")
    state, got, how = _ask(source, revision_of(base, source))
    return Row(title, state, f"{source}: {got}" + (f", {told_size(size)} to fetch" if state == READY else ""), how)


def _ask(repo: str, revision: str) -> tuple[str, str, str]:
    """(state, what came, what to do) from the hub, for weights that are not here yet."""
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError

    accept = "accept the terms on the model's page, then `hf auth login`"
    endpoint = os.environ.get("HF_ENDPOINT") or None
    address = hf_hub_url(repo, "config.json", revision=revision, endpoint=endpoint)
    try:
        get_hf_file_metadata(address, timeout=PATIENCE, endpoint=endpoint)
    except GatedRepoError:
        token = "a token without access" if get_token() else "no token"
        return MISSING, f"not here; the hub gives it to those who accepted its terms, and there is {token}", accept
    except RepositoryNotFoundError:
        return MISSING, "not here, and the hub has no such model for this token", f"mend the id, or {accept}"
    except (HTTPError, OSError) as error:
        fetch = (
            f"where there is a network: hf download {repo} --revision {revision}; then copy the cache and set HF_HOME"
        )
        return MISSING, f"not here, and the hub could not be asked ({type(error).__name__})", fetch
    return READY, "not here yet; the hub gives access", ""


def _teacher(profile: Profile) -> Iterator[Row]:
    place = profile.data["mimic"]
    if place.draw is not None or data.is_phantom(place.root):
        yield Row("teacher's traces", READY, "the scripted teacher writes them for phantoms")
        return
    missing, total = _missing_traces(profile)
    if not missing:
        yield Row("teacher's traces", READY, f"{total:,} studies in {len(prompts.SFT_FORMATS)} formats")
        yield Row("teacher", READY, "not needed: the traces are written")
        return
    yield Row("teacher's traces", MISSING, "; ".join(missing), f"chexreason traces --profile {profile.name}")
    try:
        permit(teacher_of(profile), data.SOURCES["mimic"].credentialed)
    except UserError as error:
        yield Row("teacher", MISSING, f"expected {error.expected}, got {error.got}", error.do)
    else:
        yield Row("teacher", READY, f"{teacher_of(profile).model} at {teacher_of(profile).base_url}")


def _missing_traces(profile: Profile) -> tuple[list[str], int]:
    """What is missing, a phrase a format, and how many studies need traces."""
    try:
        chosen = cohorts.drawn(profile, "sft")
    except UserError:
        return ["unknown without the SFT cohort"], 0
    missing = []
    for name in prompts.SFT_FORMATS:
        try:
            traces.of(chosen, prompts.get(name), profile)
        except UserError as error:
            missing.append(f"{name}: expected {error.expected}, got {error.got}")
    return missing, len(chosen.studies)
