"""The data card: every table and the figure show what was computed, and say where it is off."""

import pytest
from chapter import table_rows

from chexreason.labels import FINDINGS
from companion.phantoms.copula import DRAWN
from companion.report import cooccurrence as co
from companion.report import data_card


@pytest.fixture(scope="module", autouse=True)
def few_cases():
    """What is shown is held against what is computed, from however many cases."""
    simulated = co.simulated
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(co, "simulated", lambda hospital, *_: simulated(hospital, 500, co.SEED))
        yield


def cells(html: str) -> list[list[str]]:
    return table_rows(html)[1:]


def test_prevalences_are_those_of_the_tables() -> None:
    rows = {row[0]: row[1:] for row in cells(data_card.prevalences().text)}
    assert list(rows) == list(FINDINGS)
    edema = co.prevalence_rows(*co.PREVALENCES["B"]).loc["Edema"]
    assert rows["Edema"][3] == f"{edema['positives'] / edema['n']:.1%}" == "15.6%"
    assert rows["Fracture"][6] == "–", "NIH does not label fractures"


def test_the_figure_shows_every_pair_and_tells_the_farthest() -> None:
    shown = data_card.conditional_rates().text
    assert shown.count("<svg ") == shown.count('role="img"') == 3
    for hospital in "ABC":
        pairs = co.compared(hospital)
        held = pairs[pairs["counts"]]
        off = (held["simulated"] - held["published"]).abs()
        assert f"At {hospital}, {int((off <= co.BAND).sum())} of {len(held)} compared pairs" in shown
        assert f"{held.loc[off.idxmax(), 'simulated']:.1%} for {held.loc[off.idxmax(), 'published']:.1%}" in shown
    assert "currentColor" in shown
    assert "white" not in shown.split("</style>")[1]


def test_projections_are_published_beside_simulated() -> None:
    rows = cells(data_card.projections(300).text)
    assert [row[0] for row in rows] == [*DRAWN, "all studies"]
    assert rows[DRAWN.index("Edema")][1] > rows[DRAWN.index("Lung Lesion")][1]
