"""The 14 findings: the published tree, the uncertainty policies, and what a label cell may hold."""

import pytest

from chexreason import labels
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED, PARENTS, closure, decide, positives

# Figure 1 of Irvin et al. 2019, as a nested outline: what stands below what.
TREE = {
    "No Finding": {},
    "Support Devices": {},
    "Fracture": {},
    "Enlarged Cardiomediastinum": {"Cardiomegaly": {}},
    "Lung Opacity": {"Lung Lesion": {}, "Edema": {}, "Consolidation": {"Pneumonia": {}}, "Atelectasis": {}},
    "Pneumothorax": {},
    "Pleural Effusion": {},
    "Pleural Other": {},
}


def edges(tree, parent=None):
    for name, below in tree.items():
        yield name, parent
        yield from edges(below, name)


def test_the_tree_is_the_published_one() -> None:
    assert dict(PARENTS) == {name: parent for name, parent in edges(TREE) if parent}


def test_the_fourteen_are_the_names_of_the_tree() -> None:
    assert sorted(FINDINGS) == sorted(name for name, _ in edges(TREE))
    assert len(FINDINGS) == len(set(FINDINGS)) == 14


def test_every_finding_closes_over_its_path_to_the_root() -> None:
    paths = {}
    for name, parent in edges(TREE):
        paths[name] = {name} | paths.get(parent, set())
    assert {name: closure({name}) for name in FINDINGS} == paths
    assert closure(set()) == frozenset()
    assert closure({"Pneumonia", "Cardiomegaly"}) == paths["Pneumonia"] | paths["Cardiomegaly"]


def test_the_nine_that_nih_shares() -> None:
    assert len(NIH_SHARED) == 9
    assert set(NIH_SHARED) < set(FINDINGS)
    assert [n for n in FINDINGS if n in NIH_SHARED] == list(NIH_SHARED), "in the order of the fourteen"
    # Pleural Effusion is stated by NIH and yet not among the paper's nine.
    assert set(labels.NIH_TO_CHEXPERT.values()) - set(NIH_SHARED) == {"Pleural Effusion"}
    assert not set(labels.NIH_UNMAPPED) & set(labels.NIH_TO_CHEXPERT)


def test_what_must_not_be_changed_by_accident_cannot_be() -> None:
    for mapping in (PARENTS, labels.LABEL_SETS, labels.NIH_TO_CHEXPERT, labels.ALIASES):
        with pytest.raises(TypeError):
            mapping["Edema"] = "Fracture"


@pytest.mark.parametrize(
    ("policy", "uncertain"),
    [("zeros", False), ("ones", True), ("ignore", None)],
)
def test_a_policy_decides_the_uncertain_and_nothing_else(policy, uncertain) -> None:
    decided = decide({"Edema": -1.0, "Fracture": 1.0, "Pneumonia": 0.0}, policy)
    assert tuple(decided) == FINDINGS
    assert decided.pop("Edema") is uncertain
    assert decided.pop("Fracture") is True
    assert set(decided.values()) == {False}


@pytest.mark.parametrize(
    ("policy", "expected"), [("zeros", {"Fracture"}), ("ones", {"Fracture", "Edema"}), ("ignore", {"Fracture"})]
)
def test_positives(policy, expected) -> None:
    assert positives({"Edema": -1.0, "Fracture": 1.0, "Pneumonia": 0.0}, policy) == expected


def test_labels_outside_the_set_are_left_out() -> None:
    assert positives({"Fracture": 1.0, "Edema": 1.0}, "zeros", NIH_SHARED) == {"Edema"}


@pytest.mark.parametrize(
    ("given", "policy", "message"),
    [
        ({"Edema": 1.0}, "maybe", r"uncertainty policy among ignore, ones, zeros, got 'maybe'"),
        ({"Oedema": 1.0}, "zeros", r"finding among .*, got 'Oedema'"),
        ({"Edema": 2.0}, "zeros", r"a label of 1\.0, 0\.0 or -1\.0, got 2\.0 for Edema"),
        ({"Edema": 0.5}, "ones", r"got 0\.5 for Edema"),
        ({"Edema": float("nan")}, "zeros", r"got nan for Edema"),
    ],
)
def test_what_decide_refuses(given, policy, message) -> None:
    with pytest.raises(UserError, match=message):
        decide(given, policy)
