"""Settings and profiles: the paper's values one by one, a source for each, and errors that name the mistake."""

import collections
import dataclasses
import re

import pytest
import yaml

from chexreason import checked, config, recipe, settings, written
from chexreason.config import load_profile
from chexreason.errors import UserError
from chexreason.recipe import SETTINGS
from chexreason.rewards import REWARDS
from chexreason.settings import UNREAD, origins
from companion.evidence.tables import results_root
from companion.replication.traces.teacher import Teacher
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


def reward_of(name: str, profile: config.Profile):
    """As `scorer.reward_of` does, which imports torch."""
    return config.overridden(profile.overrides, name, REWARDS[name], profile.name)


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
    monkeypatch.setenv("CHEXREASON_CACHE", "/elsewhere")


def test_the_papers_profile_changes_no_stated_value() -> None:
    paper = load_profile("paper")
    for group, values in STATED.items():
        settings = reward_of(group, paper) if group in ("hard", "nuanced") else getattr(paper, group)
        assert {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize("name", written.profile_names())
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


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a profile `own`, which is `smoke` with some keys replaced, and loads it."""
    text = yaml.safe_load((written.PROFILES / "smoke.yml").read_text())
    monkeypatch.setattr(written, "PROFILES", tmp_path)

    def load(written: bytes | None = None, **changes):
        (tmp_path / "own.yml").write_bytes(written if written is not None else yaml.safe_dump(text | changes).encode())
        return load_profile("own")

    return load


def override(setting: str, value: object, **more: object) -> dict[str, object]:
    return {"overrides": [{"setting": setting, "value": value, "why": "for a test"} | more]}


def test_an_override_reaches_its_setting_and_no_other(own) -> None:
    profile = own(**override("grpo.learning_rate", "1e-3"))  # YAML 1.1 reads 1e-3 as text
    assert profile.grpo == dataclasses.replace(recipe.GRPO(), learning_rate=1e-3)
    assert profile.sft == recipe.SFT()
    assert reward_of("nuanced", own(**override("nuanced.exact", 50))).exact == 50.0
    more = own(**override("sft.label_smoothing_factor", 0.1))
    assert (more.more("sft"), more.more("grpo"), more.sft) == ({"label_smoothing_factor": 0.1}, {}, recipe.SFT())
    assert own(**override("sizes.validation", None)).sizes.validation is None


SMOKE = (written.PROFILES / "smoke.yml").read_text()
NIH = yaml.safe_load(SMOKE)["data"] | {"nih": {"root": "${NOPE}/sub"}}
CHEXPERT = yaml.safe_load(SMOKE)["data"] | {"chexpert": {"root": "$NOPE"}}
ONCE = override("sizes.sft", 8)["overrides"]
MODELS, NV = yaml.safe_load(SMOKE)["models"], {"base": "nv_reason", "prompt": "nv_reason"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "None is not of type 'object'"), (b"\ttier: x", r"a text that can be read in profile own, got .*'.t'"),
        (b"a: [", "a text that can be read"), (b"\x00\xff", "a text that can be read"),
        (SMOKE.encode() + b"seed: 1", "got seed twice"), (b"tier: 2026-13-45", "month must be in"),
        ({"overrides": ONCE * 2}, r"each name once, got sizes\.sft twice"),
        (b"seed: 1:30", "got invalid literal for int.*'1:30'"),
        (b"seed: 1:30.5", "could not convert string to float"), (b'what: "\\ud800"', "surrogates not allowed"),
        (b"what: 2020-01-01", "date is not JSON"), (b"what: !!set {a}", "set is not JSON"),
        *((b"seed: " + tagged, "a text that can be read in profile own") for tagged in
          (b"!!int ''", b"!!bool x", b"!!timestamp abc", b"!!int [a]", b"!!float [a]")),
        ({"study": {"prompting": {"prompts": []}, "sft": {"models": []}, "grpo": {"rewards": []},
                    "generalization": {"test_sets": []}}}, "runs in the study of profile own, got none"),
        *((change, r"1,100\}") for name in ("../../esc", "a/b", "", "a\n", "x" * 300, ".a") for change in (
            {"models": MODELS | {name: "x"}}, {"study": {"grpo": {"start": name}}},
            {"study": {"generalization": {"models": {name: NV}}}},
            {"study": {"generalization": {"models": {"a": NV | {"adapter": name}}}}},
        )),
        *(({"modules": [name]}, "a module or a Python file .*to import, got (Value|Type)Error")
          for name in ("", ".", ".x")),
        ({"modules": ["x" * 300]}, "got ModuleNotFoundError"),
        *(({key: None}, f"entry {key} in profile own, .*None") for key in ("data", "models", "overrides", "study")),
        ({"tier": "best"}, "'best' is not one of"), ({"rows": "everywhere"}, "rows .*'everywhere' is not one of"),
        ({"colour": "blue"}, "'colour' was unexpected"), ({"study": {"reading": {}}}, "'reading' was unexpected"),
        ({"study": {"grpo": {"prize": "hard"}}}, r"study\.grpo .*'prize' was unexpected"),
        ({"study": {"grpo": {"rewards": ["soft"]}}}, "a reward in profile own among hard, nuanced, got 'soft'"),
        ({"study": {"sft": {"models": ["gpt"]}}}, "a base model .* among medgemma, nv_reason, qwen, got 'gpt'"),
        ({"study": {"prompting": {"prompts": ["x"]}}}, r"a prompt .*, 9 more, got 'x'\. .* chexreason/prompts\.py"),
        ({"engines": {"eval": "a.b"}}, "engines .*'eval' was unexpected"),
        ({"modules": ["/d/p10000032/s50414267.py"]}, r"Python file s\*\.py to import, .*/d/p\*/s\*\.py'\. Correct"),
        ({"modules": ["no_such_module"]}, "a module or a Python file no_such_module .*, got ModuleNotFoundError"),
        ({"modules": ["no/such/file.py"]}, "FileNotFoundError"),
        ({"data": {}}, "a test set in profile own among none, got 'chexpert'"),
        ({"data": {name: {"draw": {"hospital": h, "sizes": {"test": 8}, "seed": 1}}
                   for name, h in (("chexpert", "B"), ("nih", "C"))}}, "mimic among the data in profile own, got chex"),
        ({"like": "own"}, "profile own like another one, got own"), ({"like": 3}, "entry like .*3 is not of type"),
        ({"like": "smok"}, "a profile among .*, got 'smok'"),
        ({"data": NIH | {"padchest": {"root": "/x"}}}, "a data set .* among chexpert, mimic, nih, got 'padchest'"),
        ({"data": NIH | {"nih": {"root": None}}}, r"data\.nih\.root .*None is not of type 'string'"),
        ({"data": NIH | {"nih": {"draw": {}}}}, r"data\.nih\.draw .*'hospital' is a required property"),
        ({"data": NIH}, r"a folder for nih in profile own, got \$NOPE, which is not set\. Export NOPE=/where/it/lies"),
        ({"data": CHEXPERT}, "rows of CheXpert outside the repository, got rows: results"),
        *(({"seed": seed}, "entry seed in profile own") for seed in (-1, 1.5, True, "0", 2**32)),
        *((override(name, value), rf"{name} in profile own, .*{said}") for name, value, said in [
            ("sft.num_train_epochs", -3, "minimum of 1"), ("sft.num_train_epochs", True, "not of type 'integer'"),
            ("sft.num_train_epochs", 2.0, "not of type"), ("sft.num_train_epochs", None, "not of type 'integer'"),
            ("sizes.nih", "ten", "not of type 'integer', 'null'"), ("sizes.sft", 0, "minimum of 1"),
            ("sft.learning_rate", float("nan"), "not of type"), ("grpo.beta", float("inf"), "not of type 'number'"),
            ("sft.learning_rate", "fast", "not of type 'number'"), ("grpo.loss_type", "x", "'x' is not one of"),
            ("sft.lr_scheduler_type", "x", "'x' is not one of"), ("decoding.batch_size", 0, "minimum of 1"),
            ("grpo.checkpoints", 0, "minimum of 1"), ("lora.lora_dropout", 1, "maximum of 1"),
            ("grpo.num_generations", 1, "minimum of 2"), ("decoding.uncertain", "x", "'x' is not one of"),
            ("hard.short_penalty", -1, "minimum of 0"), ("hard.short_penalty", "much", "not of type 'number'"),
            ("nuanced.malformed", float("inf"), "not of type 'number'"),
            ("sft.adam_beta1", "abc", "not of type 'number'"),
        ]),
        *((override(name, 1), f"a setting among .*, got '{name}'") for name in
          ("sizes.momentum", "colour.blue", "epochs", "hard.long", "grpo.loss", "sft.epochs")),
        *((override(f"{group}.per_device_train_batch_size", n), f"{group}.*a step of {step} rows .*, got {n}. Change")
          for group, n, step in (("grpo", 5, 32), ("grpo", 64, 32), ("sft", 3, 8))),
        *(({"study": study}, rf"a run of the study for study\.{said}\.") for study, said in (
            ({"grpo": {"start": "03-grpo-hard"}}, r"grpo\.start in profile own, got 03-grpo-hard"),
            ({"sft": {"prompts": ["only_label"]}}, r"grpo\.start .*, got 02-sft-medgemma-free_reasoning"),
            ({"grpo": {"rewards": ["nuanced"]}}, r"generalization\.models\.chexreason\.adapter .*, got 03-grpo-hard"),
        )),
        *(({"study": study}, rf"a run of {base} for study\.{said} in profile own, got {run}\. Change one")
          for study, base, said, run in (
            ({"grpo": {"model": "qwen"}}, "qwen", r"grpo\.start", "02-sft-medgemma-free_reasoning"),
            ({"grpo": {"start": "02-sft-qwen-only_label"}}, "medgemma", r"grpo\.start", "02-sft-qwen-only_label"),
            ({"generalization": {"models": {"a": NV | {"adapter": "02-sft-qwen-only_label"}}}},
             "nv_reason", r"generalization\.models\.a\.adapter", "02-sft-qwen-only_label"),
            ({"generalization": {"models": {"a": NV | {"adapter": "03-grpo-hard"}}}},
             "nv_reason", r"generalization\.models\.a\.adapter", "03-grpo-hard"),
        )),
        ({"tier": "replication"}, r"tier replication in profile own, got phantoms for chexpert, mimic, nih\. Set"),
        ({"tier": "published"}, "'published' is not one of"),
        ({"study": {"sft": {"prompts": ["free_reasoning", "reasoning_b"]}}}, "a format for .*, got 'reasoning_b'"),
        *(({"models": MODELS | {"qwen": name}}, f"a folder or a hub id .* models.qwen in profile own, got {name}")
          for name in ("/no/where", "a/b/c", "qwen")),
        ({"data": CHEXPERT | {"mimic": CHEXPERT["nih"]}}, "data.mimic.draw.hospital .*'A' was expected"),
        (override("sft.num_train_epochs", 2, because="x"), r"overrides\.0 .*'because' was unexpected"),
        ({"overrides": [{"setting": "sft.beta", "value": 2}]}, r"overrides\.0 .*'why' is a required property"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_profile_is_one_line_when_it_is_loaded(own, written, message) -> None:
    with pytest.raises(UserError, match=message) as told:
        own(written) if isinstance(written, bytes) else own(**written)
    assert len(str(told.value)) <= 200
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("given", "message"), [
    ("{bad", "a text that can be read in given"),
    ('{"settings": {}, "settings": {}}', "got settings twice"),
    ({"x": 1}, "what is given by hand, .*'x' was unexpected"),
    ({"settings": {"grpo.beta": -1}}, "minimum of 0"), ('{"modules": 3}', "entry modules in what is given by hand"),
    ({"study": {"grpo": {"rewards": "hard"}}}, "not of type 'array'"), ('{"settings": {"grpo.beta": NaN}}', "'number'"),
])  # fmt: skip
def test_a_mistake_in_what_is_given_by_hand_is_one_line(given, message) -> None:
    with pytest.raises(UserError, match=message):
        load_profile("smoke", given=given)


def test_what_the_cache_holds_and_what_a_reward_by_hand_replaces_are_there_to_start_from(own, tmp_path) -> None:
    study = {"grpo": {"start": "mine"}, "sft": {"prompts": ["free_reasoning", "reasoning_b"]}}
    (tmp_path / "c" / "checkpoints" / "mine" / "best").mkdir(parents=True)
    (tmp_path / "c" / "traces").mkdir()
    (tmp_path / "c" / "traces" / "reasoning_b.jsonl").touch()
    assert own(models=MODELS | {"qwen": "Qwen/Qwen2.5-VL-3B-Instruct"}).models["qwen"].startswith("Qwen/")
    assert load_profile("own", cache=tmp_path / "c", given={"study": study}).study["grpo"]["start"] == "mine"
    (tmp_path / "c" / "checkpoints" / "02-sft-nv_reason-only_label" / "best").mkdir(parents=True)
    with pytest.raises(UserError, match=r"a run of medgemma for study\.grpo\.start .*, got 02-sft-nv_reason-only"):
        load_profile("own", cache=tmp_path / "c", given={"study": {"grpo": {"start": "02-sft-nv_reason-only_label"}}})
    assert load_profile("own", given={"study": {"grpo": {"rewards": ["nuanced"]}}})


def test_a_profile_like_another_says_only_what_differs(tmp_path, monkeypatch) -> None:
    paper, ours = written.raw("paper"), written.raw("open")
    differ = {key for key in paper.keys() | ours.keys() if paper.get(key) != ours.get(key)}
    assert differ == {"like", "what", "study"}
    more = {"like": "open", "what": "more", "overrides": [
        {"setting": "sizes.stratified", "value": False, "why": "x"}, {"setting": "sizes.nih", "value": 9, "why": "y"},
    ], "study": {"generalization": {"test_sets": ["nih", "chexpert"]}}}  # fmt: skip
    (tmp_path / "more.yml").write_text(yaml.safe_dump(more))
    for name in ("MIMIC", "CHEXPERT", "NIH"):
        monkeypatch.delenv(f"CHEXREASON_{name}", raising=False)
    profile = load_profile(str(tmp_path / "more.yml"), unset=True)
    assert (profile.stages, profile.used) == (["generalization"], ["chexpert", "nih"])
    assert (profile.sizes.nih, profile.sizes.stratified, profile.decoding.max_new_tokens) == (9, False, 2048)
    assert list(profile.study["generalization"]["models"]) == ["nv_reason", "qwen"]
    with pytest.raises(UserError, match="a folder for nih in profile open"):  # and for no other data set
        load_profile("open")


def test_choices_are_those_of_the_libraries() -> None:
    from transformers import SchedulerType
    from trl import GRPOConfig

    assert set(recipe.SCHEDULES) == {kind.value for kind in SchedulerType}
    [loss] = [entry for entry in dataclasses.fields(GRPOConfig) if entry.name == "loss_type"]
    assert set(recipe.LOSSES) == set(
        re.findall(r"'(\w+)'", loss.metadata["help"].partition(" are ")[2].partition(". ")[0])
    )


def test_every_default_is_within_its_limits() -> None:
    for group, cls in (all_groups() | {"teacher": Teacher}).items():
        defaults = {name: default for name, default, _ in origins(cls)}
        checked.check(defaults, {"properties": settings.schema_of(cls)}, group)


@pytest.mark.parametrize("marked", [False, True])
def test_rows_of_credentialed_data_need_a_cache_outside_the_repository(own, tmp_path, monkeypatch, marked) -> None:
    """Whatever lies in the data's folder; and a link into the repository is the repository."""
    if marked:
        (tmp_path / "phantom.json").write_text("{}")
    data = yaml.safe_load(SMOKE)["data"] | {"mimic": {"root": str(tmp_path)}}
    (tmp_path / "link").symlink_to(config.ROOT)
    for cache in (config.ROOT / ".cache", tmp_path / "link" / "x", ""):
        monkeypatch.setenv("CHEXREASON_CACHE", str(cache))
        with pytest.raises(UserError, match="rows of MIMIC-CXR-JPG outside the repository"):
            own(data=data, rows="cache")
    monkeypatch.setenv("CHEXREASON_CACHE", str(tmp_path / "cache"))
    assert own(data=data, rows="cache").rows == "cache"
    with pytest.raises(UserError, match="rows: results"):
        own(data=data)


def test_the_results_may_lie_below_the_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHEXREASON_RESULTS", "~/x")
    assert results_root() == tmp_path / "x"
    assert load_profile("smoke").results == tmp_path / "x" / "smoke"
    assert load_profile("smoke", results=tmp_path / "y").results == tmp_path / "y" / "smoke"
    pytest.importorskip("jupytext")  # not in .ci/without-torch
    from companion.workflow.stages import build_book

    with pytest.raises(UserError, match=re.escape(f"results in {tmp_path}/x/smoke, got none")):
        build_book("smoke")


@pytest.mark.parametrize("name", ["RESULTS", "CACHE", "MIMIC"])
def test_a_home_of_nobody_is_refused(monkeypatch, name) -> None:
    monkeypatch.setenv(f"CHEXREASON_{name}", "~nosuchuser/x")
    for unset in (False, True):
        with pytest.raises(UserError, match=r"home before the first / of a path, got ~nosuchuser/x"):
            load_profile("paper", unset=unset)


def test_a_profile_is_like_one_beside_it_wherever_one_stands(tmp_path, monkeypatch) -> None:
    (tmp_path / "real.yml").write_bytes(SMOKE.encode())
    (tmp_path / "part.yml").write_text("like: real.yml\nwhat: a part\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv(written.STARTED_IN, str(tmp_path / "below"))
    assert load_profile("../part.yml").what == "a part"


def test_phantoms_are_no_replication_wherever_they_lie(own, tmp_path) -> None:
    (tmp_path / "phantom.json").touch()
    (inner := tmp_path / "CheXpert-v1.0").mkdir()
    held = {"mimic": {"root": str(tmp_path)}, "chexpert": {"root": str(inner)}, "nih": {"root": str(tmp_path)}}
    with pytest.raises(UserError, match="tier replication in profile own, got phantoms for chexpert, mimic, nih"):
        own(data=held, tier="replication", rows="cache")


def test_paths_are_absolute_and_begin_where_the_command_was_started(own, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHEXREASON_CACHE", "~/cache")
    monkeypatch.setenv("COUNTED", "nih")
    (tmp_path / "my$NOPE").mkdir()
    data = yaml.safe_load(SMOKE)["data"]
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path, tmp_path / "notebooks"):  # a kernel runs in another folder, and says the same
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(place)
        monkeypatch.setenv(written.STARTED_IN, str(tmp_path))
        profile = own(data=data | {"nih": {"root": "data/${COUNTED}"}})
        assert profile.data["nih"].root == tmp_path / "data" / "nih"
        assert profile.cache == tmp_path / "home" / "cache" / "own"
        assert own(data=data | {"nih": {"root": "my$NOPE"}}).data["nih"].root == tmp_path / "my$NOPE"
        assert load_profile("own", results="out", cache="../c").results == tmp_path / "out" / "own"
        assert load_profile("own", cache="../c", seed=5).cache == tmp_path.parent / "c"
    assert load_profile("own", seed=5).seed == 5


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
    smoke = yaml.safe_load((written.PROFILES / "smoke.yml").read_text())
    for entry in smoke["overrides"]:
        group, name = entry["setting"].split(".")
        assert f"smoke: {entry['value']} ({entry['why']})" in table.loc[(group, name), "overrides"]
    assert table.loc[("lora", "r"), "overrides"] == ""


def test_a_profiles_file_name_and_its_modules_are_held_to_what_they_become(tmp_path) -> None:
    for name, message in (("...yml", "not match"), ("x" * 41 + ".yml", "0,39"), ("a\n.yml", "not match")):
        (tmp_path / name).write_text(SMOKE)
        with pytest.raises(UserError, match=message) as told:
            load_profile(str(tmp_path / name))
        assert len(str(told.value)) <= 200
    for code in ("raise SystemExit(3)", "1 / 0", "raise KeyError", "x = ("):
        (tmp_path / f"{'m' * 200}.py").write_text(code)
        with pytest.raises(UserError, match=r"a module or a Python file \.*m+\.py to import, got [A-Z]") as told:
            config.load_module(str(tmp_path / f"{'m' * 200}.py"))
        assert len(str(told.value)) <= 200


def test_a_profile_names_the_engines_that_it_wants(own) -> None:
    def stock() -> None: ...

    profile = own(engines={"sft": "collections.Counter", "grpo": {"name": "collections.UserDict", "beta": 0}})
    assert profile.engine("decode", stock) is stock
    assert profile.engine("sft", stock)("aab") == collections.Counter("aab")
    assert profile.engine("grpo", stock)(passes=2) == {"beta": 0, "passes": 2}
    for name in ("no.such.Trainer", "collections.NoSuchTrainer", "Trainer", "", "os", "os.sep",
                 {"name": "json.loads.x"}, {"name": "shutil.which", "nosuch": 1},
                 {"name": "shutil.which", "x" * 60: 1}):  # fmt: skip
        with pytest.raises(UserError, match=r"a class or function for engines\.sft in profile own") as told:
            own(engines={"sft": name}).engine("sft", dict)
        assert len(str(told.value)) <= 200
