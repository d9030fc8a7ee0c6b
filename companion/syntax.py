"""Python code as plain text, the same under every Python, for telling whether two pieces of code do the same.

`ast.dump` is not that text: 3.12 gives every function and class a list of type parameters, 3.13 leaves empty fields
out, and 3.12.1 adds an empty string to a format within a format. The committed results were made under 3.11, and a book
built under another Python has to find their code unchanged. Of the standard library alone, so that a test can run
this file under any Python.
"""

import ast
from typing import Any


def bare(code: str) -> str:
    """Python code without comments, layout and docstrings, for comparing what it does.

    >>> bare('def f(x):  # twice\\n    "Twice x."\\n    return 2*x') == bare('def f(x):\\n    return 2 * x')
    True
    >>> bare("x = 1") == bare("x = 2")
    False
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(
            node.body
        ):
            node.body = node.body[1:]
    return _written(tree)


def _docstring(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _written(node: Any) -> str:
    """A node with its fields by name; empty ones are left out, since a later Python may have more of them."""
    if isinstance(node, list):
        return f"[{', '.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)  # not repr: which letters it shows as they are changes with the tables of Unicode
    fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
    fields.pop("kind", None)  # the u of a u"string": which part of a joined string keeps it has changed
    if isinstance(node, ast.JoinedStr):
        fields = {"values": [part for part in node.values if not _empty(part)]}
    return f"{type(node).__name__}({', '.join(f'{name}={_written(value)}' for name, value in fields.items())})"


def _empty(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""
