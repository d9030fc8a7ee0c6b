"""Settings and profiles: the paper's values one by one, a source for each, and errors that name the mistake."""

import collections
import dataclasses

import pytest
import yaml

from chexreason import config, recipe, scorer
from chexreason.config import load_profile
from chexreason.errors import UserError
from chexreason.recipe import SETTINGS
from chexreason.settings import UNREAD, origins
from companion.report.settings import all_groups, settings_table

# What the paper states, read from its sections 3.2.1 and 3.2.2, and nothing else.
STATED = {
    "sizes": {"sft": 2000, "rl": 1000},
    "lora": {"r": 16, "lora_alpha": 32, "lora_dropout": 0.1},
    "sft": {
        "num_train_epochs": 6, "early_stopping_patience": 2, "learning_rate": 0.00005, "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05, "weight_decay": 0.01, "max_grad_norm": 5.0, "studies_per_step": 8,
        "per_device_train_batch_size": 1, "validation_share": 0.10, "bf16": True, "gradient_checkpointing": True,
    },
    "grpo": {
        "num_generations": 4, "temperature": 0.8, "top_p": 0.95, "beta": 0.15, "loss_type": "dr_grpo",
        "epsilon": 0.15, "epsilon_high": 0.22,
    },
    "decoding": {},
    "hard": {},  # 250 has no unit in equation 3
    "nuanced": {
        "exact": 100, "recall": 30, "precision": 20, "repetition": 30, "collapse": 50, "window": 100,
        "dominance": 0.70, "invalid": 100, "duplicate": 25,
    },
}  # fmt: skip
SECTIONS = {"lora": "3.2.1", "sft": "3.2.1", "grpo": "3.2.2", "nuanced": "3.2.2"}
#: The sections that a value may be read from: 2, 3.1 and the beginning of 3.2 are missing from the text that we have.
READ = {"3.2.1", "3.2.2"}


@pytest.mark.parametrize("group", all_groups())
def test_the_stated_values_are_the_papers_and_every_setting_has_an_origin(group) -> None:
    settings = list(origins(all_groups()[group]))
    assert {name: default for name, default, origin in settings if origin.stated} == STATED[group]
    for name, _, origin in settings:
        assert origin.what, name
        assert bool(origin.section) == origin.stated, name
        assert bool(origin.why) != origin.stated, name
        assert not origin.stated or origin.section in READ & {SECTIONS.get(group, origin.section)}, name


def test_what_a_missing_section_may_state_is_not_called_unstated() -> None:
    missing = {"sizes": ("validation", "chexpert", "nih", "stratified"),
               "decoding": ("max_new_tokens", "do_sample", "uncertain"), "grpo": ()}  # fmt: skip
    for group, names in missing.items():
        why = {name: origin.why for name, _, origin in origins(SETTINGS[group])}
        assert {name for name in why if why[name].startswith(UNREAD)} == set(names)
        assert not [name for name in names if "not stated" in why[name]]


@pytest.fixture(autouse=True)
def data_folders(monkeypatch) -> None:
    for source in ("MIMIC", "CHEXPERT", "NIH"):
        monkeypatch.setenv(f"CHEXREASON_{source}", f"/data/{source.lower()}")


def test_the_papers_profile_changes_no_stated_value() -> None:
    paper = load_profile("paper")
    for group, values in STATED.items():
        settings = scorer.reward_of(group, paper) if group in ("hard", "nuanced") else getattr(paper, group)
        assert {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize("name", config.profile_names())
def test_a_profile_is_complete_and_every_override_has_its_reason_and_an_effect(name) -> None:
    profile = load_profile(name)
    assert set(profile.data) == {"mimic", "chexpert", "nih"}
    assert set(profile.models) == {"medgemma", "qwen", "nv_reason"}
    assert len(profile.what.split()) > 5
    defaults = {(group, n): default for group, cls in SETTINGS.items() for n, default, _ in origins(cls)}
    assert len({(entry.group, entry.name) for entry in profile.overrides}) == len(profile.overrides)
    for entry in profile.overrides:
        assert len(entry.why.split()) >= 2, entry
        assert entry.value != defaults[entry.group, entry.name], f"{entry} is what it is without the override"
        assert getattr(getattr(profile, entry.group), entry.name) == entry.value


def test_places_and_seed_can_be_given(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHEXREASON_CACHE", str(tmp_path / "elsewhere"))
    assert load_profile("smoke").cache == tmp_path / "elsewhere" / "smoke"
    assert load_profile("smoke", cache=tmp_path / "here").cache == tmp_path / "here"
    assert load_profile("smoke", results=tmp_path / "out").results == tmp_path / "out" / "smoke"
    assert load_profile("smoke", seed=5).seed == 5


def test_a_seed_that_is_none_and_a_folder_variable_that_is_not_set_are_named(monkeypatch) -> None:
    for seed in (-1, 1.5, True, "0"):
        with pytest.raises(UserError, match="a seed that is a whole number"):
            load_profile("smoke", seed=seed)
    monkeypatch.delenv("CHEXREASON_MIMIC")
    with pytest.raises(UserError, match=r"folder for mimic in profile paper, got .*Export CHEXREASON_MIMIC="):
        load_profile("paper")
    with pytest.raises(UserError, match="a profile among demo, experiment, miniature, paper, smoke, got 'papier'"):
        load_profile("papier")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a profile `own`, which is `smoke` with some keys replaced, and loads it."""
    text = yaml.safe_load((config.PROFILES / "smoke.yml").read_text())
    monkeypatch.setattr(config, "PROFILES", tmp_path)

    def load(**changes):
        (tmp_path / "own.yml").write_text(yaml.safe_dump(text | changes))
        return load_profile("own")

    return load


def override(setting: str, value: object, **more: object) -> dict[str, object]:
    return {"overrides": [{"setting": setting, "value": value, "why": "for a test"} | more]}


def test_an_override_reaches_its_setting_and_no_other(own) -> None:
    profile = own(**override("grpo.learning_rate", "1e-3"))  # YAML 1.1 reads 1e-3 as text
    assert profile.grpo == dataclasses.replace(recipe.GRPO(), learning_rate=1e-3)
    assert profile.sft == recipe.SFT()
    assert scorer.reward_of("nuanced", own(**override("nuanced.exact", 50))).exact == 50.0
    more = own(**override("sft.label_smoothing_factor", 0.1))
    assert (more.more("sft"), more.more("grpo"), more.sft) == ({"label_smoothing_factor": 0.1}, {}, recipe.SFT())
    assert own(**override("sizes.validation", None)).sizes.validation is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tier": "best"}, r"tier among miniature, published, replication, got 'best'"),
        ({"colour": "blue"}, r"the keys .* in profile own, got .*'colour'"),
        (override("sizes.momentum", 0.9), r"a setting among .*, got 'sizes\.momentum'"),
        (override("colour.blue", 0.9), r"a setting among .*, got 'colour\.blue'"),
        ({"study": {"reading": {}}}, r"a stage of the study among .*, got 'reading'"),
        ({"study": {"grpo": {"prize": "hard"}}}, r"an entry of study\.grpo among .*, got 'prize'"),
        ({"engines": {"eval": "a.b"}}, "an engine among decode, grpo, images, sft, got 'eval'"),
        ({"modules": ["no_such_module"]}, r"a module no_such_module .*, got ModuleNotFoundError"),
        ({"modules": ["no/such/file.py"]}, r"a Python file file\.py that can be imported, got FileNotFoundError"),
        (override("epochs", 2), r"a setting among .*, got 'epochs'"),
        (override("sft.num_train_epochs", True), r"a value of type int for sft\.num_train_epochs, got True"),
        (override("sft.num_train_epochs", None), r"a value of type int for sft\.num_train_epochs, got None"),
        (override("sizes.nih", "ten"), r"a value of type int or null for sizes\.nih, got 'ten'"),
        (override("sft.learning_rate", "fast"), r"a value of type float for sft\.learning_rate, got 'fast'"),
        (override("sft.num_train_epochs", 2, because="x"), r"setting, value and why for an override, got"),
        ({"overrides": [{"setting": "sft.beta", "value": 2}]}, r"setting, value and why for an override, got"),
    ],
)
def test_mistakes_in_a_profile_are_named(own, changes, message) -> None:
    with pytest.raises(UserError, match=message):
        own(**changes)


@pytest.mark.parametrize(("setting", "value", "message"), [
    ("short_penalty", -1, r"0 or more for short_penalty, got -1"),
    ("short_penalty", "much", r"a value of type float for hard\.short_penalty, got 'much'"),
    ("long", 1, r"a setting among hard\.min_length, hard\.short_penalty, got 'hard\.long'"),
])  # fmt: skip
def test_mistakes_in_a_rewards_constants_are_named(own, setting, value, message) -> None:
    with pytest.raises(UserError, match=message):
        scorer.reward_of("hard", own(**override(f"hard.{setting}", value)))


def test_settings_given_by_hand_come_on_top_and_a_profile_may_be_a_file(own, tmp_path) -> None:
    own(**override("grpo.beta", 0.3))
    profile = load_profile(str(tmp_path / "own.yml"), given={"settings": {"grpo.beta": 0, "grpo.top_k": 5}})
    assert (profile.name, profile.grpo.beta, profile.more("grpo")) == ("own", 0.0, {"top_k": 5})


def test_the_settings_table_has_every_setting_with_its_source_and_overrides() -> None:
    table = settings_table().set_index(["group", "setting"])
    assert len(table) == sum(len(dataclasses.fields(cls)) for cls in SETTINGS.values()) + 2 + 12 + len(recipe.CHOICES)
    assert table.index.is_unique
    stated = {(group, name) for group, values in STATED.items() for name in values}
    assert set(table.index[table["source"] == "stated"]) == stated
    assert set(table["source"]) == {"stated", "assumed"}
    smoke = yaml.safe_load((config.PROFILES / "smoke.yml").read_text())
    for entry in smoke["overrides"]:
        group, name = entry["setting"].split(".")
        assert f"smoke: {entry['value']} ({entry['why']})" in table.loc[(group, name), "overrides"]
    assert table.loc[("lora", "r"), "overrides"] == ""


def test_a_profile_names_the_engines_that_it_wants(own) -> None:
    def stock() -> None: ...

    profile = own(engines={"sft": "collections.Counter", "grpo": {"name": "builtins.dict", "beta": 0}})
    assert profile.engine("decode", stock) is stock
    assert profile.engine("sft", stock)("aab") == collections.Counter("aab")
    assert profile.engine("grpo", stock)(passes=2) == {"beta": 0, "passes": 2}
    for name in ("no.such.Trainer", "collections.NoSuchTrainer", "Trainer", ""):
        with pytest.raises(UserError, match=r"a class or function for engines\.sft in profile own"):
            own(engines={"sft": name}).engine("sft", dict)
