"""Code as text: the same under every Python, blind to layout, and not blind to what the code does."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion import syntax

#: One of each construction whose tree has changed between Pythons, or could.
SNIPPET = '''
"""A docstring."""
from __future__ import annotations
import os.path as path, sys
from . import sibling
@decorated(1, *many, key="word", **more)
class Held(Base, metaclass=Meta, flag=""):
    """Another."""
    field: "int" = 0
    bare: float
    def __init__(self, a, /, b=1, *rest, c, d=None, **named) -> None:
        """And another."""
        self.a, *self.others = a, b, *rest
    async def waits(self):
        async with self.a as one, self.b:
            async for x in one:
                yield [await y async for y in x if y]
class Empty: pass
def f(): return lambda x=1, *, y: (x, y)
plain = f"{one}{two!r:^{width}.{places}}and{three:{four}}" "joined" f"{five = }" f"{{}}{six:}" u"kept" rf"\\d{seven}"
text = ("\\N{BULLET} \\U0001fae8 \\ud800", b"\\x00bytes", 1e300, 2j, ..., None, True, -1, 0xFF, "")
empty, also, dropped = [], {}, ()
mixed = {**empty, "": [], None: {1, 2}, **also}
match point:
    case {"x": 0, **rest} | [0, *_] if rest: pass
    case Held(a=None, b=[1, *others]) as whole: pass
    case None | True | -1.5 | "word" | _: pass
try: print(found := x if y else not z)
except (ValueError, TypeError) as error: raise RuntimeError from error
except: raise
else: del x[1:2, ::3], y.z
finally:
    global other
    assert a < b <= c is not d, "said"
try: pass
except* OSError: pass
while a and b or not c:
    x **= y @ z // ~w
    if x: break
    elif y: continue
else: x = yield_ = [i for i in j if k for l in m]
with (a as b, c): gen = (i async for i in j)
'''
GOLDEN = "d1d1a764de2de14f67a1aa84ca2d71d688353656ed5ef4e3cf1aa344f71d48e7"


def digest(code: str) -> str:
    return hashlib.sha256(syntax.bare(code).encode()).hexdigest()


def interpreters() -> dict[str, str]:
    """Version -> a Python of it: this one, and those on the path or where pyenv and uv keep theirs."""
    found, home = {"this": sys.executable}, Path.home()
    for name in ("python3.11", "python3.12", "python3.13"):
        kept = [*home.glob(f".pyenv/versions/*/bin/{name}"), *home.glob(f".local/share/uv/python/*/bin/{name}")]
        for place in filter(None, (shutil.which(name), *map(str, kept))):
            if not subprocess.run([place, "-c", ""], capture_output=True, check=False).returncode:
                found[name] = place
    return found


def test_the_text_is_what_it_was() -> None:
    """Another digest here means: the digests of all committed results have to be written anew."""
    assert digest(SNIPPET) == GOLDEN


@pytest.mark.parametrize("python", interpreters().values())
def test_another_python_gives_the_same_text(python) -> None:
    code = f"import runpy, sys; print(ascii(runpy.run_path({syntax.__file__!r})['bare'](sys.stdin.read())), end='')"
    ended = subprocess.run([python, "-I", "-c", code], input=SNIPPET, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ascii(syntax.bare(SNIPPET))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = None", "x = ..."), ("f''", "''"), ("f'{x}'", "f'{x!r}'"), ("f'{x:>2}'", "f'{x:>3}'"), ("f(1)", "f(x=1)"),
        ("f'{x}' 'a'", "f'{x}'"), ("x = ''", "x = ()"), ("{'': 1}", "{None: 1}"), ("x = [[]]", "x = []"),
        ("def f(*, a, b=1): pass", "def f(*, a=1, b): pass"), ("x = {**a, 1: b}", "x = {a: a, 1: b}"), ("1", "1.0"),
        ("async def f(): pass", "def f(): pass"), ("x = 'a'", "x = b'a'"), ("x = 1", "x = True"),
        ("x: int", "x: int = 1"), ("from . import a", "from .. import a"), ("del x", "x"),
    ],
)  # fmt: skip
def test_code_that_does_otherwise_is_another_text(one, other) -> None:
    assert syntax.bare(one) != syntax.bare(other)
