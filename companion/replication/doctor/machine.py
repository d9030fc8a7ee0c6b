"""The machine: cache folder, disk, GPU and library versions.

What is needed is worked out from the profile: a checkpoint of some megabytes needs no GPU, one of
gigabytes does. The estimate of the disk is a sum of what is known beforehand: films shrunk to the most
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
from companion.replication.doctor.row import DIFFERS, MISSING, READY, Row

GB = 1e9
#: Weights beyond this are not trained on a processor in any time worth waiting for.
NEEDS_GPU = 1 * GB
#: The paper's card is sold as 80 GB; what it reports is a little more than 80e9 bytes.
PAPERS_MEMORY = 80 * GB
#: LoRA of rank 16 on the language model of MedGemma-4B: 34 layers of hidden size 2560, feed-forward size 10240, eight
#: heads of 256 and four for keys and values; 16 (in + out) weights a matrix, seven matrices a layer. The weight and
#: AdamW's two moments take 12 bytes.
CHECKPOINT = 12 * 34 * 16 * (2 * (2560 + 2048) + 2 * (2560 + 1024) + 3 * (2560 + 10240))


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
        with tempfile.TemporaryFile(dir=_standing(place)):
            pass
    except OSError as error:
        return Row("cache folder", MISSING, f"{place}: {error.strerror}", f"{export}, one that you can write to")
    return Row("cache folder", READY, str(place))


def _standing(place: Path) -> Path:
    """The folder itself, or the nearest one above it that is there: the doctor makes none."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def room(profile: Profile) -> int:
    """Bytes that a whole study may still write: prepared films, checkpoints, and weights to be fetched."""
    sizes = profile.sizes
    official = {"chexpert": "test studies", "nih": "test images"}
    films = sizes.sft + sizes.rl + (sizes.validation or 0)
    films += sum(getattr(sizes, name) or datasets.official(name)[count][0] for name, count in official.items())
    kept = 8 * (profile.sft.early_stopping_patience + 2) + 2 * (profile.grpo.checkpoints + 2)
    largest = max(weights.size_of(base, source) for base, source in profile.models.items())
    share = min(1.0, largest / weights.PUBLISHED["medgemma"])
    fetched = sum(weights.to_fetch(base, source) for base, source in profile.models.items())
    film = profile.sizes.image_pixels or 0  # grey, a byte a pixel; none are made ready where the size is not set
    return int(films * film + kept * CHECKPOINT * share + fetched)


def _disk(profile: Profile) -> Row:
    free, need = shutil.disk_usage(_standing(profile.cache.resolve())).free, room(profile)
    told = (
        f"{weights.told_size(free)} free, {weights.told_size(need)} needed at most (films, checkpoints, weights to "
        "fetch)"
    )
    return Row("disk", READY if free > need else MISSING, told, "free some space, or move CHEXREASON_CACHE and HF_HOME")


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
        pinned = _pins().get("torch", "")
        yield Row("GPU", MISSING, built, f"a machine with one, and a CUDA build of torch=={pinned}")
        return
    about = torch.cuda.get_device_properties(0)
    memory = f"{about.name}, {about.total_memory / GB:.0f} GB"
    how = "the paper used 80 GB; see what helps on less in the chapter Run it for real"
    yield Row("GPU", READY if about.total_memory >= PAPERS_MEMORY else DIFFERS, memory, how)
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
            continue
        if name in pins and version.partition("+")[0] != pins[name]:
            differ.append(f"{name} {version} ({pins[name]} pinned)")
    if absent:
        return Row("libraries", MISSING, f"not installed: {', '.join(absent)}", "make setup")
    if differ:
        return Row("libraries", DIFFERS, ", ".join(differ), "make setup installs the pinned ones")
    if not pins:
        return Row("libraries", DIFFERS, "no constraints.txt to compare with", "run from a whole clone")
    return Row("libraries", READY, f"{len(PACKAGES)} as pinned in constraints.txt")
