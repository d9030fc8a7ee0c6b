"""What the words of a command mean: the profile that they name, and what they change in it."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexreason.errors import UserError

if TYPE_CHECKING:
    from chexreason.config import Profile

Words = argparse.Namespace
#: Where results of changes by hand go, unless --results or CHEXREASON_RESULTS says otherwise.
OWN_RESULTS = "my_results"
#: The libraries' own bars and forecasts of deprecation would bury ours; a notebook's kernel inherits this.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore:IProgress not found",
    "TRANSFORMERS_VERBOSITY": "error",
}


def profile_of(words: Words, unset: bool = False) -> "Profile":
    """The profile that the words name, with what they change. Such a run never overwrites committed results."""
    from chexreason import config, written
    from chexreason.files import digest_of
    from companion.replication.traces.teacher import teacher_of

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    given, results, cache = given_by(words), words.results, words.cache
    if (
        given
        or words.profile not in written.profile_names()
        or words.seed not in (None, written.raw(words.profile)["seed"])
    ):
        results = config.results_root(results, config.ROOT / OWN_RESULTS)
        if words.seed is not None or "settings" in given:  # other checkpoints than the profile's
            usual = Path(os.environ.get("CHEXREASON_CACHE") or config.ROOT / ".cache") / "own"
            asked = digest_of([given.get("settings"), words.seed])[:8]
            cache = cache or usual / f"{Path(words.profile).stem}-{asked}"
    made = config.load_profile(words.profile, seed=words.seed, results=results, cache=cache, unset=unset, given=given)
    teacher_of(made)  # or UserError
    return made


def given_by(words: Words) -> dict[str, Any]:
    """What the command line changes in the profile: settings, modules of your own, the rewards of GRPO."""
    from chexreason import config, written
    from chexreason.checked import once, parse
    from chexreason.rewards import REWARDS

    given: dict[str, Any] = {}
    for entry in words.set or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise UserError("a setting as group.name=value", repr(entry), "write --set grpo.beta=0, for instance")
        given["settings"] = once([*given.get("settings", {}).items(), (name, parse(value, f"--set {name[-40:]}"))])
    modules, rewards = list(words.module or []), []
    for name in getattr(words, "reward", None) or []:
        if name.endswith(".py"):
            config.load_module(name)
            modules.append(str(written.folder(name)))
            module = f"extension_{Path(name).stem}"
            added = [made for made, cls in REWARDS.items() if cls.__module__.endswith(module)]
            if not added:
                raise UserError("a file that registers a reward", name, 'write @reward("its_name") above it')
            rewards += added
        else:
            rewards.append(name)
    if (n := getattr(words, "n", None)) is not None:
        from companion.evidence.sealed import listed

        if n < 1:
            raise UserError("a number of studies from 1 on", f"--n {n}", "correct it")
        cut = {f"sizes.{name}": n for name in ("chexpert", "nih") if n < listed(name)} | {"sizes.stratified": True}
        given["settings"] = cut | given.get("settings", {})
    given |= {"modules": modules} if modules else {}
    return given | ({"study": {"grpo": {"rewards": rewards}}} if rewards else {})
