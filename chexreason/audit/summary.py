"""The whole audit as plain data, for `chexreason audit --json` and for the page and terminal that show it."""

from dataclasses import asdict
from typing import Any

import numpy as np

from chexreason.audit import arithmetic, attainability, contradictions, conventions, facts, lines, matched, power
from chexreason.audit import statements as text
from chexreason.audit import uncertainty as sure
from chexreason.audit.arithmetic import Check
from chexreason.evidence import MODELS

SEED = 0
#: Sizes of a validation set that are tried against the failure rates.
LARGEST = 1000


def summary() -> dict[str, Any]:
    """Every part of the audit by name; all values are numbers, text, lists or dicts."""
    return {
        "tier": "published",
        "paper": "arXiv 2512.23090, version 2",
        "transcription": {
            "cells": {str(number): len(facts.cells(number)) for number in facts.TABLE_NUMBERS},
            "sha256": {str(number): digest for number, digest in facts.digests().items()},
        },
        "arithmetic": _checks(arithmetic.tables()),
        "best": [asdict(one) for one in arithmetic.best()],
        "text": _checks(text.text_numbers()),
        "implied_precision": {row: asdict(text.implied_precision(row, r)) for row, r in text.STATED_RECALL.items()},
        "contradictions": [
            {"name": one.name, "first": one.first, "says": one.says, "second": one.second, "against": one.against,
             "matters": one.matters, "checked": one.stands is not None, "stands": one.still}
            for one in contradictions.CONTRADICTIONS
        ],
        "attainability": _attainability(),
        "matched": _matched(),
        "reference_lines": {str(n): [asdict(line) for line in lines.reference_lines(n)] for n in facts.TABLE_NUMBERS},
        "uncertainty": _uncertainty(),
        "power": [
            {"question": one.name, "place": one.place, "macro": list(one.macros), "studies_used": one.used,
             "studies_needed": one.needed(), "power": power.POWER, "correlation": sure.PAIRED, "assumed": one.assumed}
            for one in power.questions()
        ],
        "conventions": {
            "together": [asdict(one) for one in conventions.together()],
            "prevalence": {
                name: {label: dict(zip(("zeros", "ones", "ignore"), shares, strict=True))
                       for label, shares in conventions.policies(dataset, split).items()}
                for name, (dataset, split, _) in conventions.PARTS.items()
            },
            "labels": {name: how for name, (_, _, how) in conventions.PARTS.items()},
            "left_out_of_nih": list(conventions.left_out_of_nih()),
        },
    }  # fmt: skip


def _checks(checks: list[Check]) -> list[dict[str, Any]]:
    return [asdict(one) for one in checks]


def _attainability() -> dict[str, Any]:
    cells = attainability.chexpert_cells()
    rates = attainability.failure_rates()
    even, chance = attainability.even_chance()
    return {
        "table5_cells": len(cells),
        "table5_impossible": [list(cell) for cell, ways in cells.items() if ways == 0],
        "validation_candidates": {
            name: {"n": n, "cannot_give": attainability.fits(rates, n)} for name, n in attainability.CANDIDATES.items()
        },
        "validation_sizes_that_fit": attainability.sizes_that_fit(LARGEST),
        "tried_up_to": LARGEST,
        "rates_that_are_multiples_of_0.002": even,
        "chance_of_that_with_many_studies": chance,
    }


def _matched() -> dict[str, Any]:
    crossings = {
        model: {**asdict(one), "stated": one.stated, "matched": one.matched}
        for model, one in matched.crossings().items()
    }
    falls = []
    for table, first, second in matched.LEANS_ON:
        one = matched.waterfall(table, first, second)
        falls.append(
            {"table": table, "from": first, "to": second, "change": one.change, "largest": one.largest.finding,
             "without_largest": one.without_largest(), "rises": one.rises, "falls": one.falls,
             "parts": [asdict(part) for part in one.parts]}
        )  # fmt: skip
    return {"crossings": crossings, "waterfalls": falls}


def differences(rng: np.random.Generator) -> list[tuple[int, str, str, int, sure.Interval]]:
    """The changes that the paper leans on, with intervals; on NIH for each of the sizes that are tried."""
    found = []
    for table, first, second in matched.LEANS_ON:
        for n in (facts.size("chexpert", "test"),) if table == 5 else sure.NIH_SIZES:
            supports = sure.supports_of(table, n)
            one, two = (facts.column(table, model) for model in (first, second))
            ordered = [{name: side[name] for name in supports} for side in (one, two)]
            found.append((table, first, second, n, sure.difference(ordered[0], ordered[1], supports, rng)))
    return found


def _uncertainty() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    return {
        "level": sure.LEVEL,
        "assumptions": "a label is said as often as it is present; findings err independently; one training run each",
        "5": {model: asdict(found) for model, found in sure.table_intervals(5, rng).items()},
        "6": {
            str(n): {model: asdict(found) for model, found in sure.table_intervals(6, rng, n).items()}
            for n in sure.NIH_SIZES
        },
        "findings": {
            "5": {
                f"{name} / {model}": {
                    assumption: asdict(sure.interval(facts.value(5, name, model), support, assumption))
                    for assumption in (sure.BALANCED, sure.CAUTIOUS)
                }
                for name, support in sure.supports_of(5).items()
                for model in MODELS
            }
        },
        "differences": [
            {"table": table, "from": first, "to": second, "n": n, **asdict(found)}
            for table, first, second, n, found in differences(rng)
        ],
    }
