"""What several test modules share: checkpoints, trees and profiles."""

import importlib.util
import os
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexreason import config
from companion.evidence import claims
from companion.evidence.claims import views

#: What a GPU build of torch stands under; nothing of data, labels, rewards, metrics and settings imports it.
TORCH = ("accelerate", "datasets", "peft", "torch", "transformers", "trl")


@pytest.fixture(autouse=True)
def registered_rewards() -> Generator[None]:
    """Rewards that a test registers are gone after it: the book and its tests list all that are registered."""
    from chexreason import rewards

    kept = dict(rewards.REWARDS)
    yield
    rewards.REWARDS.clear()
    rewards.REWARDS.update(kept)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a whole study come first: they take longest, and the other process has enough to do."""
    items.sort(key=lambda item: item.path.name not in ("test_paper_profile.py", "test_extension.py"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Where torch is not installed (.ci/without-torch), a test that comes to a library on top of it is skipped."""
    try:
        return (yield)
    except ModuleNotFoundError as error:
        if error.name in TORCH and not importlib.util.find_spec("torch"):
            pytest.skip(f"needs {error.name}")
        raise


@pytest.fixture(scope="session", params=["medgemma", "qwen"])
def family_name(request: pytest.FixtureRequest) -> str:
    """Both families that the paper trains, one after the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random-weight miniature of each family, saved as a checkpoint is."""
    import torch

    from chexreason.prompts import PROMPTS
    from companion.phantoms import miniature

    folder = tmp_path_factory.mktemp("checkpoints")
    texts = [prompt.text for prompt in PROMPTS.values()]
    for name, processor_of, model_of in (
        ("medgemma", miniature.gemma_processor, miniature.gemma_model),
        ("qwen", miniature.qwen_processor, miniature.qwen_model),
    ):
        torch.manual_seed(0)
        processor = processor_of(texts)
        model = model_of(processor)
        if name == "medgemma":  # transformers starts this projection at zero, and no image would reach the words
            torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.02)
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


@pytest.fixture
def random_model(family_name: str, checkpoints: Path):
    """A fresh random-weight miniature, loaded as a user's checkpoint would be."""
    from chexreason import models

    return models.load(family_name, checkpoints / family_name)


@pytest.fixture
def saved_adapter(checkpoints: Path):
    """Saves an adapter with weights of its own, as an SFT run leaves it; gives its folder."""
    import torch

    from chexreason import files, models
    from chexreason.recipe import LoRA

    def save(family: str, place: Path, spread: float = 0.02) -> Path:
        model = models.add_lora(models.load(family, checkpoints / family), LoRA())
        torch.manual_seed(1)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, spread)
        model.save_pretrained(place)
        files.seal(place)
        return place

    return save


@pytest.fixture(scope="session")
def nih_sample() -> Path:
    """The sample of real images, which lies beside the checkout where there is one."""
    place = (config.ROOT / os.environ.get("CHEXREASON_NIH_SAMPLE", "../shared/nih_sample")).resolve()
    if not (place / "derived_labels.csv").is_file():
        pytest.skip("no real images on this machine")
    return place


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small trees of phantoms in the three real layouts."""
    from companion.phantoms.writers import write_tree

    root = tmp_path_factory.mktemp("drawn")
    write_tree(root / "mimic", "A", {"train": 24, "validate": 6, "test": 3}, 1, 64, progress=False)
    write_tree(root / "chexpert", "B", {"train": 4, "validate": 3, "test": 5}, 3, 64, progress=False)
    write_tree(root / "nih", "C", {"train": 4, "test": 5}, 2, 64, progress=False)
    return root


@pytest.fixture(scope="session")
def trees(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same trees pass for real ones where nothing marks them as phantoms."""
    from chexreason.data import PHANTOM_MARKER, TRUTH

    root = shutil.copytree(drawn, tmp_path_factory.mktemp("real") / "trees")
    for mark in (path for name in (PHANTOM_MARKER, TRUTH) for path in root.glob(f"*/{name}")):
        mark.unlink()
    return root


@pytest.fixture
def held(trees: Path, tmp_path: Path) -> config.Profile:
    """A profile on copies of these trees."""
    from chexreason.recipe import Sizes

    shutil.copytree(trees, tmp_path / "trees")
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    places = {name: config.DataPlace(tmp_path / "trees" / name) for name in ("mimic", "chexpert", "nih")}
    return replace(made, data=places, sizes=Sizes(sft=10, rl=6, validation=4), rows="cache")


@pytest.fixture
def studies(tmp_path: Path):
    """Eight studies of eight patients with images of noise and one or two findings each."""
    from chexreason.data.study import Study as DataStudy
    from chexreason.labels import FINDINGS

    rng = np.random.default_rng(0)
    made = []
    for k in range(8):
        image = tmp_path / f"film{k}.png"
        Image.fromarray(rng.integers(0, 255, (180, 180), dtype=np.uint8)).save(image)
        labels = {FINDINGS[1 + k]: 1.0, FINDINGS[13]: float(k % 2)}
        made.append(DataStudy("mimic", f"p{k}", f"s{k}", image, "PA", "train", labels, FINDINGS))
    return made


@pytest.fixture
def three_shapes(studies):
    """These studies with images of three shapes: Qwen's prompts differ in length, and batches are padded."""
    for k, shape in enumerate([(90, 240), (240, 90)]):
        noise = np.random.default_rng(k).integers(0, 255, shape, dtype=np.uint8)
        Image.fromarray(noise).save(studies[k].image)
    return studies


@pytest.fixture(scope="session")
def paper() -> dict[str, claims.Outcome]:
    """The verdict on each claim by the paper's own tables."""
    return dict(views.on_paper())


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with made-up runs of smoke on 200 studies; a test that alters them takes a copy."""
    import synthetic_results

    root = tmp_path_factory.mktemp("made_up")
    synthetic_results.write("smoke", root, root / "cache", n=200)
    return root
