"""The page about the reference policy: its check tells the reference of a trainer, and is the one that is shown."""

import inspect
import re

import pytest
from peft import LoraConfig
from trl import GRPOTrainer

from chexreason import config, models
from companion.experiment import reference_check
from companion.experiment.reference_check import divergence_at_start
from companion.experiment.reference_example import MODEL, first_logged, miniature

UNTOUCHED = {"name": "companion.experiment.variants.VariantTrainer", "untouched": True}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("reference")


def test_the_reference_of_trls_own_trainer_is_where_training_starts(place):
    trainer, inputs = miniature(place)
    assert type(trainer) is GRPOTrainer
    trained = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert divergence_at_start(trainer, inputs) == pytest.approx(0, abs=1e-6)
    assert trained == {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert first_logged(trainer) == pytest.approx(0, abs=1e-6)


def test_the_untouched_base_as_reference_is_seen_as_in_older_versions(place):
    (trainer, inputs), (older, _) = miniature(place, UNTOUCHED), miniature(place)
    found = divergence_at_start(trainer, inputs)
    assert found > 0.01
    assert first_logged(trainer) > 1e-4
    older.model.delete_adapter("ref")  # without it TRL switches the adapter off, as all releases up to 0.26 did
    assert divergence_at_start(older, inputs) == pytest.approx(found)


@pytest.mark.parametrize("fresh", [True, False], ids=["a new adapter", "all weights"])
def test_a_merged_start_is_the_reference_of_a_new_adapter_and_not_of_all_weights(place, fresh):
    trainer, inputs = miniature(place)
    base = models.load(MODEL, config.load_profile("smoke").models[MODEL])
    merged = GRPOTrainer(
        model=models.with_adapter(base, place / "start").model, reward_funcs=trainer.reward_funcs, args=trainer.args,
        train_dataset=trainer.train_dataset, processing_class=trainer.processing_class,
        peft_config=LoraConfig(target_modules=base.family.lora_targets) if fresh else None,
    )  # fmt: skip
    found = divergence_at_start(merged, inputs)
    assert found == pytest.approx(0, abs=1e-6) if fresh else found > 0.01


def test_the_page_shows_the_whole_check_and_it_is_short():
    page = (config.ROOT / "book" / "reference.md").read_text(encoding="utf-8")
    [(file, start)] = re.findall(r"{literalinclude} \.\./(\S+)\n.*\n:start-at: (.*)\n", page)
    assert (config.ROOT / file).samefile(reference_check.__file__)
    exec(start + inspect.getsource(reference_check).partition(start)[2], copied := {})
    assert copied["divergence_at_start"].__code__.co_code == divergence_at_start.__code__.co_code
    assert len(inspect.getsource(divergence_at_start).partition("def ")[2].splitlines()) <= 15
