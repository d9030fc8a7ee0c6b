"""A row of a run's predictions: a study, what was said of it and what is recorded, also under another policy.

Rows about real images keep what the label file states of each finding (1, 0 or -1; what it does not mention has no
entry), so that uncertain labels can be read otherwise after the run. Drawn images keep what is visible instead.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from chexreason.data.study import Study
from chexreason.labels import decide

#: The column of what the label file states, such as "Edema=1;Fracture=-1"; rows of drawn images do not have it.
STATES = "states"


def row(
    study: Study, said: Mapping[str, Any], names: Sequence[str], policy: str, *, visible: Collection[str] = (),
    real: bool,
) -> dict[str, Any]:  # fmt: skip
    """The row of a study: its keys, what was `said` of it, and its labels over `names` under an uncertainty policy."""
    stated = ";".join(f"{name}={study.labels[name]:g}" for name in names if name in study.labels)
    return {
        "study_key": study.key,
        "patient_key": f"{study.source}/{study.patient_id}",
        **said,
        **_decided(study.labels, names, policy),
        "visible": ";".join(sorted(visible)),
        **({STATES: stated} if real else {}),
    }


def under(rows: pd.DataFrame, names: Sequence[str], policy: str) -> pd.DataFrame:
    """Rows with STATES, their labels over `names` read under another policy. Raises UserError as `decide` does.

    >>> under(pd.DataFrame({STATES: ["Edema=1;Fracture=-1", ""]}), ("Edema", "Fracture"), "ignore")["ignored"].tolist()
    ['Fracture', '']
    """
    stated = (dict(entry.split("=") for entry in cell.split(";") if entry) for cell in rows[STATES])
    labels = ({name: float(value) for name, value in one.items()} for one in stated)
    decided = pd.DataFrame([_decided(one, names, policy) for one in labels], index=rows.index)
    return rows.assign(truth=decided["truth"], ignored=decided["ignored"])


def _decided(labels: Mapping[str, float], names: Sequence[str], policy: str) -> dict[str, str]:
    decided = decide(labels, policy, tuple(names))
    return {
        "truth": ";".join(name for name, value in decided.items() if value),
        "ignored": ";".join(name for name, value in decided.items() if value is None),
    }
