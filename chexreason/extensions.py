"""Modules of your own, imported so that they can register rewards, prompts, base models and data sets."""

import importlib
import importlib.util
import sys
from pathlib import Path

from chexreason.errors import UserError


def load(module: str) -> None:
    """Import a module by its name, or a file by its path; once a process. Raises UserError if that cannot be done."""
    if not module.endswith(".py"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"a module {module}", str(error), "give the path of a .py file, or install it") from error
        return
    path = Path(module).expanduser().resolve()
    name = f"chexreason_extension_{path.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return
    if not path.is_file():
        raise UserError("a Python file", f"nothing at {path}", "give the path of a .py file")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    sys.modules[name] = found = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(found)
    except (SyntaxError, ImportError, NameError) as error:
        del sys.modules[name]
        raise UserError(
            f"{path.name} to be importable", f"{type(error).__name__}: {error}", "correct that file"
        ) from error
