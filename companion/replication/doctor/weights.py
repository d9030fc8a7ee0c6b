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
from companion.replication.doctor.rows import MISSING, READY, Row
from companion.replication.traces.teacher import permit, teacher_of

#: Bytes of the published weights in bfloat16: two a weight, of 4.30 and 3.75 billion.
PUBLISHED: Mapping[str, int] = {"medgemma": 8_600_158_944, "qwen": 7_509_245_952, "nv_reason": 7_509_245_952}
#: Seconds to wait for the hub.
PATIENCE = 10


def check(profile: Profile) -> Iterator[Row]:
    """The three base models, then the teacher."""
    yield from (_weights(base, source) for base, source in profile.models.items())
    yield from _teacher(profile)


def size_of(base: str, source: str) -> int:
    """Bytes of a base model's weights: those in its folder, or the published ones."""
    folder = Path(source)
    return sum(p.stat().st_size for p in folder.glob("*.safetensors")) if folder.is_dir() else PUBLISHED.get(base, 0)


def to_fetch(base: str, source: str) -> int:
    """Bytes that are still to be fetched."""
    return 0 if Path(source).is_dir() or cached(base, source) else size_of(base, source)


def revision_of(base: str, repo: str) -> str:
    """The commit that the study pins; the latest where torch, which the families need, is not installed."""
    try:
        from chexreason.models import FAMILIES
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
    split = json.loads(index.read_text(encoding="utf-8"))["weight_map"] if index.is_file() else {}
    files = ["config.json", *(sorted(set(split.values())) or ["model.safetensors"])]
    return next((name for name in files if not (folder / name).is_file()), "")


def _weights(base: str, source: str) -> Row:
    title, folder, n = f"weights: {base}", Path(source), size_of(base, source)
    size = f"{n / 1e9:.1f} GB" if n > 1e9 else f"{n / 1e6:.0f} MB"
    if folder.is_dir():
        if without := lacking(folder):
            return Row(title, MISSING, f"no {without} in {folder}", "copy the whole checkpoint there")
        return Row(title, READY, f"in a folder, {size}")
    if cached(base, source):
        return Row(title, READY, f"{source}, in the Hugging Face cache")
    wrong, how = _ask(source, revision_of(base, source))
    if wrong:
        return Row(title, MISSING, f"{source}: not here, and {wrong}", how)
    return Row(title, READY, f"{source}: not here yet; the hub gives access, {size} to fetch")


def _ask(repo: str, revision: str) -> tuple[str, str]:
    """(what keeps the hub from giving weights, what to do); nothing where it gives them."""
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError

    accept = "accept the terms on the model's page, then `hf auth login`"
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        address = hf_hub_url(repo, "config.json", revision=revision, endpoint=endpoint)
        get_hf_file_metadata(address, timeout=PATIENCE, endpoint=endpoint)
    except GatedRepoError:
        token = "a token without access" if get_token() else "no token"
        return f"the hub gives it to those who accepted its terms, and there is {token}", accept
    except RepositoryNotFoundError:
        return "the hub has no such model for this token", f"correct the id, or {accept}"
    except (HTTPError, OSError) as error:
        fetch = f"hf download {repo} --revision {revision}; then copy the cache and set HF_HOME"
        return f"the hub could not be asked ({type(error).__name__})", f"where there is a network: {fetch}"
    return "", ""


def _teacher(profile: Profile) -> Iterator[Row]:
    place, teacher = profile.data["mimic"], teacher_of(profile)
    if place.draw is not None or data.is_phantom(place.root):
        yield Row("teacher's traces", READY, "the scripted teacher writes them for phantoms")
        return
    missing, total = [], 0
    try:
        chosen = cohorts.drawn(profile, "sft")
        total = len(chosen.studies)
        for name in prompts.SFT_FORMATS:
            try:
                traces.of(chosen, prompts.get(name), profile)
            except UserError as error:
                missing.append(f"{name}: {Row.failed(name, error).got}")
    except UserError:
        missing = ["unknown without the SFT cohort"]
    if not missing:
        yield Row("teacher's traces", READY, f"{total:,} studies in {len(prompts.SFT_FORMATS)} formats")
        yield Row("teacher", READY, "not needed: the traces are written")
        return
    yield Row("teacher's traces", MISSING, "; ".join(missing), f"chexreason traces --profile {profile.name}")
    try:
        permit(teacher, data.SOURCES["mimic"].credentialed)
        yield Row("teacher", READY, f"{teacher.model} at {teacher.base_url}")
    except UserError as error:
        yield Row.failed("teacher", error)
