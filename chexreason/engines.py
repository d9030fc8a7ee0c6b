"""The trainers and the decoder that a profile names instead of TRL's and transformers' own.

A profile's `engines` maps `sft`, `grpo` or `decode` to a class or function by its full name, or to a mapping with
that `name` and further keyword arguments. Without an entry the method is TRL and transformers as they come.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from chexreason.config import Profile
from chexreason.errors import UserError


def engine(profile: Profile, what: str, stock: Callable[..., Any]) -> Callable[..., Any]:
    """What the profile names for `what`, ready to be called like `stock`, which is returned if it names nothing.

    Raises UserError for a name that cannot be imported.
    """
    if what not in profile.engines:
        return stock
    entry = profile.engines[what]
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    module, _, name = str(options.pop("name", "")).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"a class or function for engines.{what} in profile {profile.name}", f"{entry!r} ({error})",
            "give its full name, package.module.Name",
        ) from error  # fmt: skip
    return functools.partial(found, **options) if options else found
