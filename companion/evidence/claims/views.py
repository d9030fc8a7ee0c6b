"""Views of the ledger: the comparisons that the text makes, the best that it names, and what cannot be tested."""

import functools
from collections.abc import Mapping

import pandas as pd

from companion.evidence.audit import facts
from companion.evidence.audit.arithmetic import AGREES, DEPENDS, ERROR, UNBORNE
from companion.evidence.claims import CLAIMS, REFUSED, outcomes
from companion.evidence.claims.effects import Effect, titled
from companion.evidence.claims.verdicts import Claim, Outcome, reaches
from companion.evidence.tables import MODELS, TABLES, title_of

#: Of a column whose best the text leaves to the print (bold type, which the text that we have does not carry).
UNSTATED = "not stated in the text"


class Change(float):
    """A difference, shown with its sign."""


@functools.cache
def on_paper() -> Mapping[str, Outcome]:
    """The ledger's verdicts on the paper's own tables."""
    return outcomes(CLAIMS)


def comparisons() -> pd.DataFrame:
    """What the text says by comparing, as printed and without intervals, under each reading of the ledger.

    Claims with a margin of ours are left out, since words of degree have no bar in the paper, and so are those that
    cannot be tested (`untold`).
    """
    rows = []
    for name, claim in CLAIMS.items():
        if claim.stated and not claim.sharpened and on_paper()[name].effect is not None:
            twins = [twin for _, twin in claim.choice if not CLAIMS[twin].stated]
            effects = {one: on_paper()[one].effect for one in (name, *twins)}
            held = {one: reaches(CLAIMS[one], value) for one, value in effects.items() if value is not None}
            verdict = AGREES if all(held.values()) else DEPENDS if any(held.values()) else UNBORNE
            shown = (f"{'✓' if held[one] else '✗'} {CLAIMS[one].rests_on} {effects[one]:+.3f}" for one in held)
            rows.append({"where": claim.place, "what": claim.says, "as printed": "; ".join(shown).replace(" -0", " −0"),
                         "verdict": verdict})  # fmt: skip
    return pd.DataFrame(rows)


def best() -> pd.DataFrame:
    """Who is best in each column of F1 (Tables 1 to 4) or row (Tables 5 and 6), and whom the text names."""
    said: dict[tuple[int, str], list[tuple[str, Claim]]] = {}
    for claim in CLAIMS.values():
        if claim.stated and isinstance(claim.check, Effect) and claim.check.best:
            table, row = claim.check.best
            said.setdefault((table, "macro" if table >= 5 else claim.check.how.average), []).append((row, claim))
    rows = []
    for number in TABLES:
        models, columns = number >= 5, pd.Series({key: float(text) for key, text in facts.cells(number).items()})
        for of, column in columns.xs("f1", level=2).groupby(level=0 if models else 1, sort=False):
            values = column.droplevel(0 if models else 1)
            ranked, stated = sorted(set(values), reverse=True), said.get((number, str(of)), [])
            names = [str(row) for row in values.index[values == ranked[0]]]
            right = sum(row in names for row, _ in stated)
            agrees = AGREES if right == len(stated) else DEPENDS if right else ERROR
            rows.append({
                "table": f"Table {number}",
                "of": f"{of}-F1" if not models else "macro average" if of == "macro" else of,
                "best": " and ".join(MODELS[row] if models else title_of(TABLES[number], row) for row in names),
                "value": ranked[0], "ahead by": Change(ranked[0] - ranked[1] if len(ranked) > 1 else 0.0),
                "the text says": "; ".join(f"{titled(number, row)} ({one.place})" for row, one in stated) or "–",
                "verdict": agrees if stated else UNSTATED,
            })  # fmt: skip
    return pd.DataFrame(rows)


def untold() -> pd.DataFrame:
    """The claims that no number at hand can judge, with the reason."""
    return pd.DataFrame(
        {"claim": CLAIMS[name].says, "why it cannot be tested": one.reason}
        for name, one in on_paper().items()
        if CLAIMS[name].stated and one.standing == REFUSED
    )
