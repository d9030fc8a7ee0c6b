"""Both rewards against tables worked out by hand, the window, and what a lazy answer can earn."""

import json
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from chexreason.completions import THINK_SOLUTION, parse_completion
from chexreason.config import load_module
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NO_FINDING, SUPPORT_DEVICES
from chexreason.rewards import REWARDS, Hard, Nuanced, constants, reward
from companion.phantoms.teacher.completion import write_completion

NF, SD, CM, ED, FX = NO_FINDING, SUPPORT_DEVICES, "Cardiomegaly", "Edema", "Fracture"
#: Relative to the commonest: No Finding 1, Support Devices 3/4, Cardiomegaly 1/2, Edema 1/4, Fracture 1/20.
FREQUENCIES = {NF: 0.40, SD: 0.30, CM: 0.20, ED: 0.10, FX: 0.02}


def solution(names, thought="Seen."):
    return f"<think>{thought}</think><solution>{names}</solution>"


def read(text):
    return parse_completion(text, THINK_SOLUTION)


def labels(*names):
    return frozenset(names)


def total(terms):
    return sum(terms.values())


def nuanced(recent=(), **changes):
    """The nuanced reward after some predictions, fitted to `FREQUENCIES`."""
    made = Nuanced(**changes)
    made.frequencies, made.recent = FREQUENCIES, deque(recent)
    return made


# --- Equation 3 ---

LONG = "Wide heart. " * 25  # 300 characters


@pytest.mark.parametrize(
    ("truth", "text", "expected"),
    [
        ({CM, ED}, solution("Cardiomegaly, Edema", LONG), 1.0),  # J = 2/2
        ({CM, ED}, solution("Cardiomegaly", LONG), 0.5),  # J = 1/2
        ({CM, ED}, solution("Cardiomegaly, Edema, Fracture", LONG), 2 / 3),  # J = 2/3
        ({CM, ED}, solution("Edema, Fracture", LONG), 1 / 3),  # J = 1/3
        ({CM}, solution("Edema", LONG), 0.0),  # J = 0/2
        ({CM}, solution(", ".join(FINDINGS), LONG), 1 / 14),  # J = 1/14
        ({CM}, solution("Cardiomegaly, gout", LONG), 1.0),  # unknown labels are filtered: J = 1/1
        ({CM}, solution("Cardiomegaly, Cardiomegaly", LONG), 1.0),  # a repeated label counts once: J = 1/1
        ({CM}, solution("Cardiomegaly"), 0.9),  # short: 1 - 0.1
        ({CM}, solution("Edema"), -0.1),  # short and wrong: 0 - 0.1
        ({CM}, solution(""), -0.1),  # valid, nothing named, short: 0 - 0.1
        ({CM}, "<solution>Cardiomegaly</solution>", 0.0),  # not valid: 0, however right and however short
        ({CM}, solution("Cardiomegaly", LONG) + "<think></think>", 0.0),
        ({CM}, "Cardiomegaly", 0.0),
        ({CM}, solution("Cardiomegaly", LONG) + " Regards", 1.0),  # text outside does not break validity: 1
    ],
)
def test_hard_by_hand(truth, text, expected):
    terms = Hard()(read(text), frozenset(truth), text)
    assert total(terms) == pytest.approx(expected, abs=1e-12)
    assert set(terms) == {"jaccard", "short"}


def test_hard_at_the_length_bound():
    pays = [total(Hard()(read(solution("Cardiomegaly")), labels(CM), "x" * length)) for length in (249, 250, 251)]
    assert pays == pytest.approx([0.9, 1.0, 1.0])


# --- Equation 4 ---


@pytest.mark.parametrize(
    ("truth", "text", "expected"),
    [
        ({CM, ED}, solution("Cardiomegaly, Edema"), 150.0),  # exact: 100 + 30 + 20
        ({NF}, solution("No Finding"), 150.0),
        ({CM, ED}, solution("Cardiomegaly"), 35.0),  # one of two: 30/2 + 20/1
        # both and a wrong Support Devices: 30 + 20 * 2/3 - 20 * 3/4 = 28 1/3
        ({CM, ED}, solution("Cardiomegaly, Edema, Support Devices"), 30 + 40 / 3 - 15),
        # the same with a wrong Fracture: 30 + 13 1/3 - 20/20 = 42 1/3; rare costs less than common
        ({CM, ED}, solution("Cardiomegaly, Edema, Fracture"), 30 + 40 / 3 - 1),
        ({CM}, solution("No Finding"), -20.0),  # wholly wrong, commonest label: -20
        ({CM}, solution("Fracture"), -1.0),  # wholly wrong, rare label: -1
        # a label that the training studies never have costs nothing extra: 30 + 20/2
        ({CM}, solution("Cardiomegaly, Pneumothorax"), 40.0),
        # five labels, one right: 30 + 20/5 - 20 * (1 + 3/4 + 1/4 + 1/20) = 34 - 41
        ({CM}, solution("No Finding, Support Devices, Cardiomegaly, Edema, Fracture"), -7.0),
        ({CM, ED}, solution("Edema, Edema"), 10.0),  # one of two, named twice: 15 + 20 - 25
        ({CM, ED}, solution("Edema, gout"), -65.0),  # one of two beside an unknown name: 15 + 20 - 100
        ({CM}, solution("Cardiomegaly, gout, scurvy"), -50.0),  # exact with two unknown names: 150 - 200
        ({CM}, solution("gout"), -200.0),  # only an unknown name: no label, so malformed: -100 - 100
        ({CM}, solution(""), -100.0),  # nothing named: malformed
        ({CM}, "<solution>Cardiomegaly</solution>", -100.0),  # no think block: malformed, the right label earns nothing
        ({CM}, "Cardiomegaly", -125.0),  # no block at all, and text outside: -100 - 25
        ({CM}, "Well: " + solution("Cardiomegaly"), 125.0),  # exact with text outside: 150 - 25
    ],
)
def test_nuanced_by_hand(truth, text, expected):
    assert total(nuanced()(read(text), frozenset(truth), text)) == pytest.approx(expected, abs=1e-9)


def filled(*predictions):
    """A window: (labels, how often), oldest first."""
    return [frozenset(names) for names, count in predictions for _ in range(count)]


@pytest.mark.parametrize(
    ("window", "text", "expected"),
    [
        # 99 predictions and this one: full; share of Edema 71/100 > 0.70: 150 - 50 - 30
        (filled(({CM}, 29), ({ED}, 70)), "Edema", 70.0),
        (filled(({CM}, 30), ({ED}, 69)), "Edema", 150.0),  # share exactly 70/100: not above
        (filled(({ED}, 98)), "Edema", 150.0),  # 98 and this one: not full yet, whatever the share
        # 100 held: the oldest one is forgotten; 70 of 99 remain before this one: 71/100
        (filled(({CM}, 1), ({CM}, 29), ({ED}, 70)), "Edema", 70.0),
        # the forgotten one was Edema: 69 + this one = 70/100
        (filled(({ED}, 1), ({CM}, 30), ({ED}, 69)), "Edema", 150.0),
        # another label dominates, this one does not name it: wrong, rare: -1 (Fracture)
        (filled(({ED}, 100)), "Fracture", -1.0),
        # two dominant labels in one prediction: 30 + 20/2 - 20 * 1/2 - 50 - 2 * 30
        (filled(({ED, CM}, 100)), "Edema, Cardiomegaly", 30 + 10 - 10 - 50 - 60),
        (filled(({ED, CM}, 100)), "Edema", 70.0),  # one of the two: 150 - 50 - 30, right or not
    ],
)
def test_nuanced_collapse_by_hand(window, text, expected):
    assert total(nuanced(window)(read(solution(text)), labels(ED), text)) == pytest.approx(expected, abs=1e-9)


def test_what_equation_4_pays_for_once_labels_dominate_as_its_docstring_says():
    four, truth = {NF, SD, CM, ED}, labels(NF, SD, CM, ED, FX)
    full = filled((four, 100))
    earned = [total(nuanced(full)(read(solution(", ".join(x))), truth, "")) for x in (sorted(truth), [FX])]
    assert earned == [pytest.approx(150 - 50 - 4 * 30), pytest.approx(30 / 5 + 20)]
    wrong = total(nuanced(full)(read(solution("No Finding, Support Devices")), labels(FX), ""))
    breaking = total(nuanced(full)(read("nothing"), labels(FX), ""))
    assert (wrong, breaking) == (pytest.approx(-50 - 2 * 30 - 20 * (1 + 3 / 4)), pytest.approx(-100 - 25))
    before = filled(({FX}, 1), ({ED}, 70), ({FX}, 29))  # the place of the right answer in a rollout batch decides
    pays = {
        order: [total(shared(read(solution(name)), labels(ED), "")) for name in order]
        for order in ((ED, FX), (FX, ED))
        for shared in [nuanced(before)]
    }
    assert (pays[ED, FX][0], pays[FX, ED][1]) == (pytest.approx(70), pytest.approx(150))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_constant_is_finite_and_not_negative(value):
    with pytest.raises(UserError, match="finite value of 0 or more for exact"):
        Nuanced(exact=value)


def test_the_window_goes_through_json_and_a_malformed_completion_is_no_prediction():
    rng = np.random.default_rng(0)
    here, there = nuanced(), nuanced()
    for step in range(300):
        names = rng.choice(FINDINGS, size=2, replace=False).tolist() if step % 3 == 0 else ["Edema"]
        parsed, other = read(solution(", ".join(names))), nuanced()
        other.load_state_dict(json.loads(json.dumps(there.state_dict())))
        there = other
        assert here(parsed, labels(ED), "") == there(parsed, labels(ED), "")
        for text in ("Edema", solution("gout")):
            here(read(text), labels(ED), "")
        assert len(here.recent) == min(step + 1, 100)


# --- What a lazy answer can earn ---

#: Shares of the MIMIC-CXR-JPG training studies (Johnson et al. 2019, arXiv:1901.07042), in the order of FINDINGS.
MIMIC = (0.332, 0.031, 0.171, 0.222, 0.027, 0.115, 0.046, 0.069, 0.198, 0.041, 0.232, 0.008, 0.017, 0.287)


def mimic_like(rng, n):
    """Label sets with those shares; No Finding stands where no disease does."""
    studies = []
    for _ in range(n):
        found = {name for name, share in zip(FINDINGS[1:], MIMIC[1:], strict=True) if rng.random() < share}
        studies.append(frozenset(found if found - {SD} else found | {NF}))
    return studies


STUDIES = mimic_like(np.random.default_rng(5), 600)
FITTED = Nuanced()
FITTED.fit(STUDIES)
SHARES = FITTED.frequencies
COMMONEST = sorted(SHARES, key=SHARES.__getitem__, reverse=True)
LAZY = {
    "all": frozenset(FINDINGS),
    "all diseases": frozenset(FINDINGS) - {NF},
    **{name: labels(name) for name in FINDINGS},
    "the two commonest": labels(*COMMONEST[:2]),
}


def mean_reward(name, answers):
    """The mean reward of a long, well-formed answer to each study."""
    pays, totals = REWARDS[name](), []
    pays.fit(STUDIES)
    for truth, answer in zip(STUDIES, answers, strict=True):
        text = answer if isinstance(answer, str) else write_completion(LONG, answer, THINK_SOLUTION)
        totals.append(total(pays(read(text), truth, text)))
    return np.mean(totals)


def fallible(rng, truth, sensitivity, specificity):
    """What a reader sees who misses some findings and makes up others."""
    seen = {f for f in FINDINGS[1:] if rng.random() < (sensitivity if f in truth else 1 - specificity)}
    return frozenset(seen if seen - {SD} else seen | {NF})


@pytest.mark.parametrize("name", ["hard", "nuanced"])
def test_no_constant_or_empty_answer_earns_what_an_honest_one_does(name):
    rng = np.random.default_rng(6)
    right = mean_reward(name, STUDIES)
    honest = mean_reward(name, [fallible(rng, truth, 0.75, 0.95) for truth in STUDIES])
    lazy = {kind: mean_reward(name, [answer] * len(STUDIES)) for kind, answer in LAZY.items()}
    lazy["three commonest in turn"] = mean_reward(name, [labels(COMMONEST[i % 3]) for i in range(len(STUDIES))])
    lazy["empty solution"] = mean_reward(name, [solution("", LONG)] * len(STUDIES))
    lazy["nothing"] = mean_reward(name, [""] * len(STUDIES))
    lazy["no blocks"] = mean_reward(name, ["Edema"] * len(STUDIES))
    assert right == {"hard": 1.0, "nuanced": 150.0}[name]
    assert right > honest
    assert max(lazy.values()) < honest, max(lazy, key=lazy.__getitem__)
    if name == "nuanced":
        assert max(lazy[kind] for kind in LAZY) < 0, "a collapsed answer pays"


# --- Settings and misuse ---


def test_constants_are_used():
    parsed = read(solution("Edema"))
    assert total(nuanced(exact=200.0)(parsed, labels(ED), "")) == 250.0
    assert total(replace(Hard(), short_penalty=0.3)(parsed, labels(ED), "x" * 10)) == pytest.approx(0.7)


@pytest.mark.parametrize("truth", [labels(), labels("Gout")])
@pytest.mark.parametrize("pays", [Hard(), nuanced()])
def test_a_study_without_recorded_labels_is_refused(truth, pays):
    with pytest.raises(ValueError, match="recorded labels"):
        pays(read(solution("Edema")), truth, "")


def test_a_reward_is_a_class_or_a_function(monkeypatch):
    monkeypatch.setitem(REWARDS, "named", None)

    @reward("named")
    def named(answer, truth, text):
        return {"named": float(len(answer.labels))}

    made = REWARDS["named"]()
    assert made(read(solution("Edema, Fracture")), labels(ED), "") == {"named": 2.0}
    assert (made.state_dict(), constants(made)) == ({}, {})
    assert named(read(solution("Edema")), labels(ED), "") == {"named": 1.0}, "the function stays what it was"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("@reward('x')\nclass X: ...", "a function or a dataclass on Reward as x"),
        ("@reward('x')\n@dataclass\nclass X(Hard):\n    a: float = field()", "TypeError: .*(required|default)"),
        ("@reward('x')\n@dataclass\nclass X(Reward): ...", "TypeError: Can't instantiate abstract class"),
        ("@reward('x')\n@dataclass\nclass X(Hard):\n    a: 'nosuch' = 1", "NameError: name 'nosuch'"),
        ("@reward\ndef f(answer, truth, text): ...", "a reward's name .*, got <function f .* Write @reward"),
        *((f"@reward({name!r})\ndef f(answer, truth, text): ...", "a reward's name of letters")
          for name in ("", "../x", "a/b", "a\n", ".x", "x" * 101, 3)),
    ],
)  # fmt: skip
def test_a_wrong_reward_of_ones_own_is_one_line(tmp_path, code, said):
    head = "from dataclasses import dataclass, field\nfrom chexreason.rewards import Hard, Reward, reward\n"
    (tmp_path / "wrong.py").write_text(head + code)
    before = dict(REWARDS)
    with pytest.raises(UserError, match=said) as told:
        load_module(str(tmp_path / "wrong.py"))
    assert len(str(told.value)) <= 200
    assert before == REWARDS


def test_frequencies_come_from_the_training_studies():
    pays = Nuanced()
    with pytest.raises(ValueError, match="empty"):
        pays(read(solution("Edema")), labels(CM), "")
    pays.fit([labels(ED), labels(ED, CM), labels(NF), labels(NF)])
    assert {name: share for name, share in pays.frequencies.items() if share} == {NF: 0.5, ED: 0.5, CM: 0.25}
    assert list(pays.frequencies) == list(FINDINGS)
