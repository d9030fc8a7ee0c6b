"""The whole audit as plain data, for `chexreason audit --json` and for the page and terminal that show it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from companion.evidence.audit import (
    arithmetic,
    attainability,
    comparisons,
    contradictions,
    conventions,
    facts,
    lines,
    matched,
    operating,
    power,
    validation,
)
from companion.evidence.audit import statements as text
from companion.evidence.audit import uncertainty as sure
from companion.evidence.audit.arithmetic import Check
from companion.evidence.audit.attainability import Counts
from companion.evidence.audit.differences import differences
from companion.evidence.comparable import ENOUGH

SEED = 0
#: Sizes of a validation set that are tried against the failure rates.
LARGEST = 1000


def summary() -> dict[str, Any]:
    """Every part of the audit by name; all values are numbers, text, lists or dicts."""
    return {
        "tier": "published",
        "paper": facts.PAPER,
        "transcription": {
            "altered": facts.altered(),
            "digest": facts.tables_digest(),
            "cells": {str(number): len(facts.cells(number)) for number in facts.TABLE_NUMBERS},
            "sha256": {str(number): digest for number, digest in facts.digests().items()},
        },
        "arithmetic": _checks(arithmetic.tables()),
        "best": [{**asdict(one), "verdict": one.verdict} for one in arithmetic.best()],
        "text": _checks(text.text_numbers()),
        "comparisons": [asdict(one) for one in comparisons.compared()],
        "implied_precision": {row: asdict(text.implied_precision(row, r)) for row, r in text.STATED_RECALL.items()},
        "labels_named": [asdict(one) for one in operating.all_named()],
        "labels_recorded_a_study": {name: asdict(one) for name, one in operating.densities().items()},
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
             "studies_needed": one.needed(), "power": power.POWER, "correlation": sure.PAIRED, "assumed": one.assumed,
             "by_correlation": {str(r): one.needed(r) for r in sure.CORRELATIONS},
             "by_prevalences_of": power.at_hospitals(one),
             "if_every_finding_had": {str(p): power.at_prevalence(one, p) for p in power.PREVALENCES}}
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
    cells = attainability.chexpert_counts()
    rates = attainability.failure_rates()
    even, chance = attainability.even_chance()
    return {
        "table5_cells": len(cells),
        "table5_impossible": [list(cell) for cell, ways in cells.items() if not ways],
        "table5_ways": {f"{name} / {model}": _ways(ways) for (name, model), ways in cells.items()},
        "validation_candidates": {
            name: {"n": n, "cannot_give": attainability.fits(rates, n)}
            for name, n in attainability.candidates().items()
        },
        "validation_sizes_that_fit": attainability.sizes_that_fit(LARGEST),
        "tried_up_to": LARGEST,
        "every_size_from": attainability.all_fit_from(),
        "rates_that_are_multiples_of_0.002": even,
        "chance_of_that_with_many_studies": chance,
    }


def _ways(ways: Sequence[Counts]) -> dict[str, Any]:
    """In how many ways whole counts give a printed F1, and what they have in common."""
    hits, predicted = sorted({one.hits for one in ways}), sorted({one.predicted for one in ways})
    return {"ways": len(ways), "hits": hits[:1] + hits[-1:], "predicted": predicted[:1] + predicted[-1:]}


def _matched() -> dict[str, Any]:
    crossings = {
        model: {**asdict(one), "stated": one.stated, "matched": one.matched}
        for model, one in matched.crossings().items()
    }
    falls = [
        {"table": one.table, "from": one.first, "to": one.second, "from_table": 5 if one.crossing else one.table,
         "change": one.change, "largest": one.largest.finding, "without_largest": one.without_largest(),
         "rises": one.rises, "falls": one.falls, "parts": [asdict(part) for part in one.parts]}
        for one in matched.taken_apart()
    ]  # fmt: skip
    alike = [asdict(matched.likeness(table, other)) for table in (5, 6) for other in ("medgemma", "medgemma_sft")]
    return {"crossings": crossings, "waterfalls": falls, "likeness": alike}


def _uncertainty() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    return {
        "level": sure.LEVEL,
        "draws": sure.DRAWS,
        "assumptions": "labels named as P and R print, else as often as recorded; findings err independently; "
                       "one training run each",
        "validation": {
            "n": validation.size(),
            "scores": {f"{table} / {row}": {average: asdict(one) for average, one in found.items()}
                       for (table, row), found in validation.intervals(rng).items()},
        },
        "5": {model: asdict(found) for model, found in sure.table_intervals(5, rng).items()},
        "6": {
            str(n): {model: asdict(found) for model, found in sure.table_intervals(6, rng, n).items()}
            for n in sure.NIH_SIZES
        },
        "findings": {"5": _findings(5, None), "6": {str(n): _findings(6, n) for n in sure.NIH_SIZES}},
        "differences": [
            {"name": one.lean.name, "table": one.lean.table, "from": one.lean.first, "to": one.lean.second, "n": one.n,
             "by_correlation": {str(r): asdict(interval) for r, interval in one.at.items()}}
            for one in differences()
        ],
    }  # fmt: skip


def _findings(table: int, n: int | None) -> dict[str, Any]:
    """Each F1 of a table with its interval under both assumptions, its positives, and whether they are few."""
    narrow, wide = (sure.finding_intervals(table, n, how) for how in (sure.BALANCED, sure.CAUTIOUS))
    return {
        f"{name} / {model}": {
            "positives": round(support, 1),
            "few": support < ENOUGH,
            "balanced": asdict(one),
            "cautious": asdict(wide[name, model][0]),
        }
        for (name, model), (one, support) in narrow.items()
    }
