"""The machine: cache folder, disk, GPU and library versions.

What is needed is worked out from the profile: a checkpoint of some megabytes needs no GPU, one of
gigabytes does. The estimate of the disk is a sum of what is known beforehand: images shrunk to the most
that a model looks at, checkpoints that are kept, weights that are still to be fetched.
"""

import importlib.metadata
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chexreason import config, data
from chexreason.config import Profile
from chexreason.runs import PACKAGES
from companion.replication.doctor import datasets, weights
from companion.replication.doctor.rows import DIFFERS, MISSING, READY, Row

GB = 1e9
#: Weights beyond this are not trained on a processor in any time worth waiting for.
NEEDS_GPU = 1 * GB
#: The paper's card is sold as 80 GB; what it reports is a little more than 80e9 bytes.
PAPERS_MEMORY = 80 * GB
#: LoRA of rank 16 on MedGemma-4B (tests/test_models_published.py counts it): the weight and AdamW's two moments.
CHECKPOINT = 12 * 29_802_496


def check(profile: Profile) -> Iterator[Row]:
    """Cache folder, disk, GPU, library versions."""
    yield _cache(profile)
    yield _disk(profile)
    yield from _gpu(sum(weights.size_of(base, source) for base, source in profile.models.items()) > NEEDS_GPU)
    yield _versions()


def _cache(profile: Profile) -> Row:
    place, export = profile.cache.resolve(), "export CHEXREASON_CACHE=/a/folder/elsewhere"
    held = any(
        data.SOURCES[source].credentialed and entry.draw is None and not data.is_phantom(entry.root)
        for source, entry in profile.data.items()
    )
    if held and profile.rows != "cache":
        return Row("cache folder", MISSING, f"rows: {profile.rows} with credentialed data", "set `rows: cache`")
    if held and (place == config.ROOT or config.ROOT in place.parents):
        return Row("cache folder", MISSING, f"{place} lies in the repository, and credentialed rows go there", export)
    try:
        with tempfile.TemporaryFile(dir=_existing(place)):
            pass
    except OSError as error:
        return Row("cache folder", MISSING, f"{place}: {error.strerror}", f"{export}, one that you can write to")
    return Row("cache folder", READY, str(place))


def _existing(place: Path) -> Path:
    """The folder itself or its nearest existing parent; nothing is created."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def room(profile: Profile) -> int:
    """Bytes that a whole study may still write: prepared images, checkpoints, and weights to be fetched."""
    sizes, models, entry = profile.sizes, profile.models.items(), profile.engines.get("images")
    pixels = int(entry.get("pixels", 0)) if isinstance(entry, dict) else 0  # none is prepared, else a byte a pixel
    images = sizes.sft + sizes.rl + (sizes.validation or 0)
    for name, count in (("chexpert", "test studies"), ("nih", "test images")):
        images += getattr(sizes, name) or datasets.official(name)[count][0]
    kept = 8 * (profile.sft.early_stopping_patience + 2) + 2 * (profile.grpo.checkpoints + 2)
    share = min(1.0, max(weights.size_of(*model) for model in models) / weights.PUBLISHED["medgemma"])
    return int(images * pixels + kept * CHECKPOINT * share + sum(weights.to_fetch(*model) for model in models))


def _disk(profile: Profile) -> Row:
    free, need = shutil.disk_usage(_existing(profile.cache.resolve())).free, room(profile)
    got = f"{free / GB:.1f} GB free, {need / GB:.1f} GB needed at most (images, checkpoints, weights to fetch)"
    return Row("disk", READY if free > need else MISSING, got, "free some space, or move CHEXREASON_CACHE and HF_HOME")


def _gpu(needed: bool) -> Iterator[Row]:
    if not needed:
        yield Row("GPU", READY, "not needed: the checkpoints are small")
        return
    try:
        import torch
    except ImportError:
        yield Row("GPU", MISSING, "torch is not installed", "make setup")
        return
    if not torch.cuda.is_available():
        built = "torch sees none" if torch.version.cuda else "torch is a build without CUDA"
        yield Row("GPU", MISSING, built, f"a machine with one, and a CUDA build of torch=={_pins().get('torch', '')}")
        return
    about = torch.cuda.get_device_properties(0)
    how = "the paper used 80 GB; see what helps on less in the chapter Run it for real"
    state = READY if about.total_memory >= PAPERS_MEMORY else DIFFERS
    yield Row("GPU", state, f"{about.name}, {about.total_memory / GB:.0f} GB", how)
    if torch.cuda.is_bf16_supported(including_emulation=False):
        yield Row("bf16", READY, "the GPU computes in it")
    else:
        yield Row("bf16", MISSING, f"{about.name} does not compute in it", "a GPU of compute capability 8.0 or more")


def _pins() -> dict[str, str]:
    """package -> version in constraints.txt; empty where the file is not there."""
    place = config.ROOT / "constraints.txt"
    lines = place.read_text(encoding="utf-8").splitlines() if place.is_file() else []
    return {match[1]: match[2] for line in lines if (match := re.match(r"([\w.-]+)==(\S+)", line))}


def _versions() -> Row:
    pins, differ, absent = _pins(), [], []
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
        else:
            if version.partition("+")[0] != pins.get(name):
                differ.append(f"{name} {version} ({pins.get(name, 'nothing')} pinned)")
    if absent:
        return Row("libraries", MISSING, f"not installed: {', '.join(absent)}", "make setup")
    if differ:
        return Row("libraries", DIFFERS, ", ".join(differ), "make setup installs the pinned ones")
    return Row("libraries", READY, f"{len(PACKAGES)} as pinned in constraints.txt")
