"""Code of your own: modules that register rewards, prompts, models and data sets; trainers that a profile names."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chexreason.errors import UserError


def load(module: str) -> None:
    """Import a module by its name, or a file by its path; once a process. Raises UserError if that cannot be done."""
    path = Path(module).expanduser().resolve()
    name = module if path.suffix != ".py" else f"chexreason_extension_{path.stem}"
    try:
        if name == module:
            importlib.import_module(module)
        elif getattr(sys.modules.get(name), "__file__", None) != str(path):
            spec: Any = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    except (SyntaxError, ImportError, NameError, OSError) as error:
        sys.modules.pop(name, None)
        raise UserError(
            f"a module {name} or a Python file {path.name} that can be imported", f"{type(error).__name__}: {error}",
            "correct that file, give the path of a .py file, or install the module",
        ) from error  # fmt: skip


def named(entry: Any, where: str) -> Callable[..., Any]:
    """A class or function by its full name, or by a mapping with that `name` and keyword arguments for each call.

    Raises UserError for a name that cannot be imported.
    """
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    module, _, name = str(options.pop("name", "")).rpartition(".")
    try:
        return functools.partial(getattr(importlib.import_module(module), name), **options)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"a class or function for {where}", f"{entry!r} ({error})", "give its full name, package.module.Name"
        ) from error
