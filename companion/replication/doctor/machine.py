"""The machine: cache folder, disk, GPU, library versions, the models' weights, the teacher's traces or the teacher.

A checkpoint of some megabytes needs no GPU, one of gigabytes does. Weights may lie in a folder, in the Hugging Face
cache, or be fetched when a run starts: then the hub is asked for the head of one small file, as a run would ask, with
the token of someone who has accepted the terms. The teacher is not asked: that could cost money.
"""

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from chexreason import cohorts, config, prompts, traces
from chexreason.config import Profile
from chexreason.data.study import masked
from chexreason.errors import UserError
from chexreason.runs import PACKAGES
from chexreason.slips import bases
from companion.evidence.sealed import listed
from companion.replication import cards, credentialed, keep_outside
from companion.replication.doctor import DIFFERS, MISSING, READY, Row
from companion.replication.traces.teacher import permit, teacher_of

GB = 1e9
#: Weights beyond this are not trained on a processor in any time worth waiting for.
NEEDS_GPU = 1 * GB
#: The paper's card is sold as 80 GB; what it reports is a little more than 80e9 bytes.
PAPERS_MEMORY = 80 * GB
#: What a study writes beside the weights: each image at 896 x 896 pixels, and for each training checkpoints of LoRA of
#: rank 16 on MedGemma-4B (tests/test_models_published.py counts it), with the weights and AdamW's two moments.
IMAGE, CHECKPOINT = 896 * 896, 12 * 29_802_496
#: Bytes of the published weights in bfloat16: two a weight, of 4.30 and 3.75 billion.
PUBLISHED: Mapping[str, int] = {"medgemma": 8_600_158_944, "qwen": 7_509_245_952, "nv_reason": 7_509_245_952}
#: Seconds to wait for the hub.
PATIENCE = 10


def check(profile: Profile) -> Iterator[Row]:
    """Cache folder, disk, GPU, library versions; the base models that the study uses; then the teacher."""
    yield _cache(profile)
    asked = [(base, profile.models[base]) for base in bases(profile)]
    large = sum(size_of(*model) for model in asked) > NEEDS_GPU
    fetch = sum(size_of(*model) for model in asked if not _is_here(*model))
    yield _disk(profile.cache, room(profile) + fetch if large else GB)
    yield from _gpu(profile, large)
    yield _versions()
    yield from (weights(*model) for model in asked)
    if "sft" in profile.stages:
        yield from _teacher(profile)


def room(profile: Profile) -> int:
    """Bytes that the study of a profile writes beside the weights: images that are looked at, and checkpoints."""
    sizes, study, stages = profile.sizes, profile.study, profile.stages
    tested = study["generalization"]["test_sets"] if "generalization" in stages else ()
    images = sum(getattr(sizes, name, None) or listed(name) for name in tested if name in ("chexpert", "nih"))
    images += (sizes.validation or 0) * bool({"prompting", "sft", "grpo"}.intersection(stages))
    images += sizes.sft * ("sft" in stages) + sizes.rl * ("grpo" in stages)
    kept = 4 * len(study["sft"]["models"]) * len(study["sft"]["prompts"]) * ("sft" in stages)  # two to go on from
    kept += (profile.grpo.checkpoints + 2) * len(study["grpo"]["rewards"]) * ("grpo" in stages)
    return images * IMAGE + kept * CHECKPOINT


def _cache(profile: Profile) -> Row:
    place, title = profile.cache.resolve(), "cache folder"
    if profile.rows != "cache" and any(credentialed(profile, source) for source in profile.used):
        return Row(title, MISSING, f"rows: {profile.rows} with credentialed data", "set `rows: cache`")
    try:
        for source in profile.used:
            keep_outside(profile, source, place)
        nearest = next(folder for folder in (place, *place.parents) if folder.exists())  # OSError if not to be known
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except UserError as error:
        return Row.failed(title, error)
    except OSError as error:
        how = "export CHEXREASON_CACHE=/a/folder/elsewhere, one that you can write to"
        return Row(title, MISSING, f"{masked(place)}: {error.strerror}", how)
    return Row(title, READY, masked(place))


def _existing(place: Path) -> Path:
    """The folder itself or its nearest parent that is seen to exist; nothing is created."""
    return next(folder for folder in (place, *place.parents) if os.path.isdir(folder))


def _disk(cache: Path, need: float) -> Row:
    free = shutil.disk_usage(_existing(cache.resolve())).free
    got = f"{free / GB:.1f} GB free, {need / GB:.1f} GB needed at most (images, checkpoints, weights to fetch)"
    return Row("disk", READY if free > need else MISSING, got, "free some space, or move CHEXREASON_CACHE and HF_HOME")


def _gpu(profile: Profile, needed: bool) -> Iterator[Row]:
    if not needed:
        yield Row("GPU", READY, "not needed: the checkpoints are small")
        return
    try:
        import torch

        about = torch.cuda.get_device_properties(0)
    except (ImportError, AssertionError, RuntimeError) as error:  # no torch, a build without CUDA, no driver, no GPU
        how = f"a machine with one, and a CUDA build of torch=={_pins().get('torch', '')}"
        yield Row("GPU", MISSING, f"torch sees none: {str(error).splitlines()[0]}", how)
        return
    fits, rest = cards.advice(profile, about.total_memory)
    how = f"{rest}; see" if rest else "the paper used 80 GB; what else helps on less is in"
    state = DIFFERS if rest or about.total_memory < PAPERS_MEMORY else READY
    got = f"{about.name}, {about.total_memory / GB:.0f} GB; {fits}"
    yield Row("GPU", state, got, f"{how} the chapter Run it for real")
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    got = f"{about.name} {'computes' if bf16 else 'does not compute'} in it"
    yield Row("bf16", READY if bf16 else MISSING, got, "a GPU of compute capability 8.0 or more")


def _pins() -> dict[str, str]:
    """package -> version in constraints.txt; empty where the file is not there."""
    place = config.ROOT / "constraints.txt"
    lines = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    return {match[1]: match[2] for line in lines if (match := re.match(r"([\w.-]+)==(\S+)", line))}


def _versions() -> Row:
    pins, found = _pins(), {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name).partition("+")[0]  # the build is the machine's affair
    if absent := [name for name in PACKAGES if name not in found]:
        return Row("libraries", MISSING, f"not installed: {', '.join(absent)}", "make setup")
    if differ := [f"{k} {v} ({pins.get(k, 'nothing')} pinned)" for k, v in found.items() if v != pins.get(k)]:
        return Row("libraries", DIFFERS, ", ".join(differ), "make setup installs the pinned ones")
    return Row("libraries", READY, f"{len(PACKAGES)} as pinned in constraints.txt")


def size_of(base: str, source: str) -> int:
    """Bytes of a base model's weights: those in its folder, or the published ones."""
    folder = Path(source)
    return sum(p.stat().st_size for p in folder.glob("*.safetensors")) if folder.is_dir() else PUBLISHED.get(base, 0)


def revision_of(base: str, repo: str) -> str:
    """The commit that the study pins; the latest where torch, which the families need, is not installed."""
    try:
        from chexreason.models import FAMILIES
    except ImportError:
        return "main"
    return FAMILIES[base].revision_of(repo)


def _is_here(base: str, source: str) -> bool:
    """Whether weights lie in a folder, or whole in the Hugging Face cache, in the revision that is pinned."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(source).is_dir():
        return True
    try:
        found = try_to_load_from_cache(source, "config.json", revision=revision_of(base, source))
    except HFValidationError:  # a path to a folder that is not there
        return False
    return isinstance(found, str) and not lacking(Path(found).parent)


def lacking(folder: Path) -> str:
    """The first file of a checkpoint that is not in its folder; nothing where it is whole."""
    index = folder / "model.safetensors.index.json"
    try:
        split = json.loads(index.read_text(encoding="utf-8"))["weight_map"] if index.is_file() else {}
        files = ["config.json", *(sorted({str(name) for name in split.values()}) or ["model.safetensors"])]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return f"readable {index.name}"
    return next((name for name in files if not (folder / name).is_file()), "")


def weights(base: str, source: str) -> Row:
    """Whether a base model's weights are here, or the hub gives access to them."""
    title, folder, n = f"weights: {base}", Path(source), size_of(base, source)
    size = f"{n / GB:.1f} GB" if n > GB else f"{n / 1e6:.0f} MB"
    if folder.is_dir() and (without := lacking(folder)):
        return Row(title, MISSING, f"no {without} in {folder}", "copy the whole checkpoint there")
    if _is_here(base, source):
        return Row(title, READY, f"{'in a folder' if folder.is_dir() else 'in the Hugging Face cache'}, {size}")
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
    except ValueError:
        return "no model of the hub can be called so", "correct the id"
    except (HTTPError, OSError) as error:
        fetch = f"hf download {repo} --revision {revision}; then copy the cache and set HF_HOME"
        return f"the hub could not be asked ({type(error).__name__})", f"where there is a network: {fetch}"
    return "", ""


def _teacher(profile: Profile) -> Iterator[Row]:
    source, what = cohorts.COHORTS["sft"][0], "teacher's traces"
    if profile.data[source].draw is not None:
        yield Row(what, READY, "the scripted teacher writes them for phantoms")
        return
    if unset := profile.data[source].unset:
        yield Row(what, MISSING, f"{unset} is not set", f"export {unset}=/where/it/lies")
        return
    try:
        chosen = cohorts.drawn(profile, "sft")
        with cohorts.may_read():
            for name in prompts.SFT_FORMATS:
                traces.of(chosen, prompts.get(name), profile)
        yield Row(what, READY, f"{len(chosen.studies):,} studies in {len(prompts.SFT_FORMATS)} formats")
        return
    except UserError as error:
        yield Row.failed(what, error)
    try:
        teacher = teacher_of(profile)
        permit(teacher, credentialed(profile, source))
        yield Row("teacher", READY, f"{teacher.model} at {teacher.base_url}")
    except UserError as error:
        yield Row.failed("teacher", error)
