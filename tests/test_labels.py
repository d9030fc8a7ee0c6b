"""The 14 findings: the published tree, the uncertainty policies, and what a label cell may hold."""

import pytest

from chexreason import labels
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED, decide, positives
from companion.phantoms.tree import PARENTS, closure


def test_the_findings_and_their_tree_are_the_published_ones() -> None:
    """Figure 1 of Irvin et al. 2019."""
    opacities = dict.fromkeys(("Lung Lesion", "Edema", "Consolidation", "Atelectasis"), "Lung Opacity")
    others = {"Cardiomegaly": "Enlarged Cardiomediastinum", "Pneumonia": "Consolidation"}
    assert dict(PARENTS) == opacities | others
    alone = {"No Finding", "Support Devices", "Fracture", "Pneumothorax", "Pleural Effusion", "Pleural Other"}
    assert (len(FINDINGS), set(FINDINGS)) == (14, {*opacities, *opacities.values(), *others, *others.values(), *alone})
    assert [closure(names) for names in ((), ["Edema"], ["Pneumonia", "Cardiomegaly", "Fracture"])] == [
        set(), {"Edema", "Lung Opacity"},
        {"Pneumonia", "Consolidation", "Lung Opacity", "Cardiomegaly", "Enlarged Cardiomediastinum", "Fracture"},
    ]  # fmt: skip


def test_the_nine_that_nih_shares() -> None:
    assert len(NIH_SHARED) == 9
    assert [name for name in FINDINGS if name in NIH_SHARED] == list(NIH_SHARED), "in the order of the fourteen"
    # Pleural Effusion is stated by NIH and yet not among the paper's nine.
    assert set(labels.NIH_TO_CHEXPERT.values()) - set(NIH_SHARED) == {"Pleural Effusion"}
    assert not set(labels.NIH_UNMAPPED) & set(labels.NIH_TO_CHEXPERT)


@pytest.mark.parametrize(("policy", "uncertain"), [("zeros", False), ("ones", True), ("ignore", None)])
def test_a_policy_decides_the_uncertain_and_nothing_else(policy, uncertain) -> None:
    cells = {"Edema": -1.0, "Fracture": 1.0, "Pneumonia": 0.0}
    assert decide(cells, policy) == dict.fromkeys(FINDINGS, False) | {"Fracture": True, "Edema": uncertain}
    assert positives(cells, policy) == ({"Fracture", "Edema"} if uncertain else {"Fracture"})
    assert positives(cells | {"Edema": 1.0}, policy, NIH_SHARED) == {"Edema"}, "Fracture is none of the nine"


@pytest.mark.parametrize(
    ("given", "policy", "message"),
    [
        ({"Edema": 1.0}, "maybe", r"uncertainty policy among ignore, ones, zeros, got 'maybe'"),
        ({"Oedema": 1.0}, "zeros", r"finding among .*, got 'Oedema'"),
        ({"Edema": 2.0}, "zeros", r"a label of 1\.0, 0\.0 or -1\.0, got 2\.0 for Edema"),
        ({"Edema": float("nan")}, "zeros", r"got nan for Edema"),
    ],
)
def test_what_decide_refuses(given, policy, message) -> None:
    with pytest.raises(UserError, match=message):
        decide(given, policy)
