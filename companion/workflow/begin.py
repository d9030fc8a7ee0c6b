"""What a command looks at before it draws or computes anything: what it starts from, its folders, its options."""

import importlib.util
import tempfile
import warnings

from chexreason import config, runs
from chexreason.errors import unknown
from chexreason.slips import makes


def begin(profile: config.Profile, *stages: str, changed: bool) -> None:
    """Make the folders that a run writes to; UserError if the stages lack what they start from, or would fail.

    The profiles of the package are right unless they are `changed` by hand, and checking them imports the libraries.
    """
    if importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("no such package", name="torch")
    tested, made = profile.study["generalization"]["models"].values(), list[str]()
    starts = {"grpo": [profile.study["grpo"]["start"]], "generalization": [one.get("adapter") for one in tested]}
    for stage in stages:
        for start in filter(None, starts.get(stage, ())):
            if start not in made:  # by a stage before
                runs.need(profile.cache / "checkpoints" / start / "best")
        made += makes(profile, stage)
    for place in (profile.results, profile.cache):
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    ours = config.file_of(profile.source).parent == config.ROOT / "chexreason" / "profiles"
    if changed or not ours:
        for what in profile.engines:
            profile.engine(what, print)
        with warnings.catch_warnings(action="ignore"):  # they come again where it computes
            _options(profile)


def _options(profile: config.Profile) -> None:
    """Raise UserError for a base model of no known family, and for an option that TRL or PEFT refuses."""
    import torch
    from transformers import AutoConfig

    from chexreason import grpo, models, sft

    for base in profile.models.keys() - models.FAMILIES.keys():
        raise unknown(f"family in models of profile {profile.name}", base, models.FAMILIES, "chexreason/models.py")
    sft.arguments(profile.sft, profile.cache, profile.seed, profile.more("sft"))
    grpo.arguments(profile.grpo, profile.cache, profile.seed, profile.sizes.rl, more=profile.more("grpo"))
    if more := profile.more("lora"):
        base = profile.study["sft"]["models"][0]
        family, place = models.FAMILIES[base], profile.models[base]
        with torch.device("meta"):
            try:
                shape = AutoConfig.from_pretrained(place, revision=family.revision_of(place), local_files_only=True)
                loaded = models.Loaded(family.model_class(shape), None, family, place)
            except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError):
                return  # not here yet, or wrong: `models.load` says so
            # there are no weights, which some ways to start an adapter need
            models.add_lora(loaded, profile.lora, {**more, "init_lora_weights": True})
