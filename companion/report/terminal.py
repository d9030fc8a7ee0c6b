"""The audit and the ledger as plain text, as wide as the terminal and no wider; the ledger also for a program."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from companion.evidence import frames
from companion.evidence.audit import facts
from companion.evidence.audit.uncertainty import CORRELATIONS, PAIRED
from companion.evidence.claims import CLAIMS, Outcome
from companion.report.audit_lists import shown
from companion.report.theme import signed
from companion.report.verdict_table import SIGNS, details, standings, tally

ABOUT = f"Recomputed from Tables 1 to 6 of {facts.PAPER} and public label counts; tier: published."
TITLE = "What the paper's own numbers support"
#: Narrower than this no table can be read, wider than that no line.
NARROWEST, WIDEST = 40, 110


def audit_text(width: int) -> str:
    """Every part of the audit, a section each; of numbers and comparisons those that do not simply agree."""
    width = max(NARROWEST, min(WIDEST, width))
    sections = [f"{titled(TITLE, width)}\n{wrapped(ABOUT, width)}"]
    for part in frames.PARTS.values():
        lines = [titled(part.title, width)] + ([wrapped(part.note, width)] if part.note else [])
        frame = part.frame
        if "verdict" in frame:
            lines.append(wrapped(f"{len(frame)}: {frames.counted(frame)}", width))
            frame = frames.remarkable(frame)
        sections.append("\n".join([*lines, _table(frame, width)]))
    return "\n\n".join(sections)


def claims_text(found: Mapping[str, Outcome], width: int, missing: Sequence[str] = ()) -> str:
    """The verdicts on one side: a claim, what came of it, and why; at the end the runs that it lacks."""
    width, first = max(NARROWEST, min(WIDEST, width)), next(iter(found.values()))
    out = [
        wrapped(f"{first.side} (tier: {first.tier}): {_counted(tally(found))}", width),
        wrapped(f"What the paper itself says, without our twins: {_counted(standings(found))}", width),
        *(wrapped(line, width) for line in _noted(found)), "",
    ]  # fmt: skip
    for name, one in found.items():
        claim = CLAIMS[name]
        out += textwrap.wrap(f"{SIGNS[one.standing]} {claim.says}", width, subsequent_indent="  ")
        effect = ""
        if one.effect is not None and one.low is not None and one.high is not None:
            effect = f"{signed(one.effect)} ({signed(one.low)} to {signed(one.high)}); "
        turned = "".join(f"; depends on the choice of {kind}: see {twin}" for kind, twin in one.turned_by)
        place = claim.place if claim.stated else f"{claim.place}, our reading"
        place += ", bar ours" if claim.sharpened else ""
        detail = f"{one.verdict}: {effect}{'; '.join(details(one))}{turned} [{name}; {place}]"
        out += textwrap.wrap(detail, width, initial_indent="    ", subsequent_indent="    ",
                             break_on_hyphens=False)  # fmt: skip
    waiting = sum(bool(one.missing) for one in found.values())
    if missing and waiting:
        told = (
            f"{waiting} claims wait for runs that are not there: {', '.join(missing)}. Judge a folder that holds them "
            "all, such as a profile's: chexreason claims --run demo"
        )
        out += ["", textwrap.fill(told, width, subsequent_indent="  ", break_on_hyphens=False)]
    return "\n".join(out)


def claims_data(found: Mapping[str, Outcome]) -> list[dict[str, dict[str, Any]]]:
    """The same for a program: each claim with its outcome."""
    return [{"claim": CLAIMS[name].described(), "outcome": one.described()} for name, one in found.items()]


def _counted(count: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in count.items())


def _noted(found: Mapping[str, Outcome]) -> list[str]:
    """How the verdicts do together, and at other correlations."""
    alone = [one for one in found.values() if one.together is not None]
    said = []
    if alone:
        jointly = sum(bool(one.together) for one in alone)
        said.append(
            f"{len(alone)} verdicts go beyond chance by themselves, {jointly} of them with all {alone[0].tests} tests "
            "together (maximum-t)."
        )
    if told := [one for one in alone if one.by_correlation]:
        tried = ", ".join(f"{r:g}" for r in CORRELATIONS)
        said.append(
            f"{sum(one.survives for one in told)} of them are the same at each correlation r of two models' errors "
            f"that is tried ({tried}; the verdict is the one at {PAIRED:g})."
        )
    return said


def titled(title: str, width: int) -> str:
    """A heading, underlined."""
    return f"{textwrap.fill(title, width)}\n{'=' * min(len(title), width)}"


def wrapped(text: str, width: int) -> str:
    """A paragraph, its further lines indented."""
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _table(frame: pd.DataFrame, width: int) -> str:
    """Columns if they fit; else a paragraph a row, each cell with its heading."""
    head = list(map(str, frame))
    rows = [[shown(cell) for cell in row] for row in frame.itertuples(index=False)]
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows])
    heads = [f"{name} " if k > 1 else "" for k, name in enumerate(head)]
    return "\n".join(
        wrapped("- " + "; ".join(f"{name}{cell}" for name, cell in zip(heads, row, strict=True) if cell), width)
        for row in rows
    )
