"""The parser: each failure by itself, lenient spellings, and hostile text in linear time."""

import time

import numpy as np
import pytest

from chexreason.completions import ONLY_SOLUTION, THINK_ANSWER, THINK_SOLUTION, Failure, parse_completion, read_labels
from companion.phantoms.teacher.completion import write_completion

GOOD = "<think>Wide heart.</think><solution>Cardiomegaly, Edema</solution>"
MISSING, REPEATED, ORDER, OUTSIDE, UNKNOWN, DUPLICATE, EMPTY, TRUNCATED = Failure


@pytest.mark.parametrize(
    ("text", "failures", "valid", "labels"),
    [
        (GOOD, set(), True, "Cardiomegaly;Edema"),
        ("", {MISSING}, False, ""),
        ("Cardiomegaly", {MISSING, OUTSIDE}, False, ""),
        ("<solution>Edema</solution>", {MISSING}, False, "Edema"),
        ("<think>a</think>", {MISSING}, False, ""),
        ("<think>a", {MISSING, TRUNCATED}, False, ""),
        ("<think>a</think><solution>Edema", {TRUNCATED}, False, ""),
        ("<think>a</think><solution>Edema</solu", {TRUNCATED}, False, ""),
        ("<think>a <solution>Edema</solution>", {MISSING}, False, "Edema"),
        ("<think>a</think><think>b</think><solution>Edema</solution>", {REPEATED, OUTSIDE}, False, "Edema"),
        ("<think>a</think></think><solution>Edema</solution>", {REPEATED, OUTSIDE}, False, "Edema"),
        ("<think>a</think><solution>Edema</solution><solution>Fracture</solution>", {REPEATED, OUTSIDE}, False, ""),
        ("<solution>Edema</solution><think>a</think>", {ORDER}, False, "Edema"),
        ("<think>a <solution>Edema</solution></think>", {ORDER}, False, "Edema"),
        ("<think>a<solution>b</think>Edema</solution>", {ORDER, UNKNOWN}, False, ""),
        ("</think>a<think><solution>Edema</solution>", {ORDER, OUTSIDE}, False, "Edema"),
        ("<think>a</think></solution>Edema<solution>", {ORDER, OUTSIDE}, False, ""),
        ("<Think>a</Think><solution>Edema</solution>", {MISSING, OUTSIDE}, False, "Edema"),
        ("Sure: <think>a</think><solution>Edema</solution>", {OUTSIDE}, True, "Edema"),
        ("<think>a</think>so<solution>Edema</solution>bye", {OUTSIDE}, True, "Edema"),
        ("\n <think>a</think>\n\n<solution>Edema</solution>\n", set(), True, "Edema"),
        ("<think></think><solution>Edema</solution>", set(), True, "Edema"),
        ("<think>a</think><solution></solution>", {EMPTY}, True, ""),
        ("<think>a</think><solution> , ;\n</solution>", {EMPTY}, True, ""),
        ("<think>a</think><solution>Gout</solution>", {UNKNOWN}, True, ""),
        ("<think>a</think><solution>Gout, Edema</solution>", {UNKNOWN}, True, "Edema"),
        ("<think>a</think><solution>Edema, edema</solution>", {DUPLICATE}, True, "Edema"),
        ("<think>a < b & c > d</think><solution>Edema</solution>", set(), True, "Edema"),
    ],
)
def test_structure_and_failures(text, failures, valid, labels):
    parsed = parse_completion(text, THINK_SOLUTION)
    assert parsed.failures == failures
    assert parsed.valid is valid
    assert parsed.labels == tuple(filter(None, labels.split(";")))
    assert parsed.failed is (labels == "")


def test_the_length_limit_fails_only_a_solution_that_is_not_whole():
    whole = parse_completion(GOOD + " and so on", THINK_SOLUTION, truncated=True)
    assert (whole.failures, whole.failed, whole.outside) == ({TRUNCATED, OUTSIDE}, False, "and so on")
    cut = parse_completion(GOOD[:-5], THINK_SOLUTION, truncated=True)
    assert (cut.failures, cut.failed) == ({TRUNCATED}, True)


def test_only_label_and_nv_reason_formats():
    assert parse_completion("<solution>Edema</solution>", ONLY_SOLUTION).valid
    chatty = parse_completion(GOOD, ONLY_SOLUTION)
    assert (chatty.valid, chatty.failures, chatty.outside) == (True, {OUTSIDE}, "<think>Wide heart.</think>")
    assert parse_completion("<think>a</think><answer>Edema</answer>", THINK_ANSWER).valid
    assert parse_completion(GOOD, THINK_ANSWER).failures == {MISSING, OUTSIDE}


@pytest.mark.parametrize(
    "body",
    [
        "Lung Opacity, Edema", "lung opacity,EDEMA", " Lung   Opacity ;Edema. ", "Lung Opacity\nEdema\n",
        "Lung Opacity\r\nEdema", '["Lung Opacity", "Edema"]', "['Lung Opacity', 'Edema']", "- Lung Opacity\n- Edema",
        "* Lung Opacity\n* Edema", "Airspace Opacity, Edema", "Lung\tOpacity,\u00a0Edema",
        "[Lung Opacity]\u2029, \u2028\"Edema\"", "Lung Opacity]\u3000;Edema\u2003", "• Lung Opacity\u2028• Edema",
        "1. Lung Opacity\n2) Edema", "- 1. Lung\u2009Opacity\x85– Edema", "“Lung Opacity”, ‘Edema’.",
        "1.Lung Opacity\n**2.** Edema", "(1) Lung Opacity; _Edema_", "1: \u200bLung Opacity\n◦ Edema\ufeff",
    ],
)  # fmt: skip
def test_spellings_that_are_accepted(body):
    assert read_labels(body) == (("Lung Opacity", "Edema"), (), 0)


MARKS = [
    *"⁃−‐‑►➢◆✔❖>\u200c\u200e▶✅☑◼⬤➤»・①#", "▶\ufe0f", "1\ufe0f\u20e3", "[1]", "[12] ►", "> [1].", "\u200e[1]\u200c",
    "a) ", "(b) ", "ii. ", "C. ", "[x]", "- [X]", "##", "**",
]  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
def test_more_bullets_and_what_counts_entries(mark):
    parsed = parse_completion(f"<solution>{mark} Lung Opacity\n{mark}Edema</solution>", ONLY_SOLUTION)
    assert (parsed.labels, parsed.failures) == (("Lung Opacity", "Edema"), set())
    twice = parse_completion(f"<solution>Edema {mark} Fracture</solution>", ONLY_SOLUTION)
    assert (len(twice.unknown), twice.failed) == (1, True), "within a name it forgives nothing"


@pytest.mark.parametrize(
    ("body", "labels", "unknown"),
    [
        ("• Lung Opacity • Edema", ("Lung Opacity", "Edema"), ()),
        ("- Lung Opacity - Edema", ("Lung Opacity", "Edema"), ()),
        ("Lung Opacity、Edema，Fracture；Pneumonia", ("Lung Opacity", "Edema", "Fracture", "Pneumonia"), ()),
        ("Lung Opacity | Edema|Fracture", ("Lung Opacity", "Edema", "Fracture"), ()),
        ("- [x] Edema\n- [ ] Fracture", ("Edema",), ("☐Fracture",)),  # not ticked: it says no
        ("☐ Edema, ✗ Fracture, ❓ Pneumonia", (), ("☐Edema", "☐Fracture", "☐Pneumonia")),
        ("Edema [x], Fracture [ ]\n- [_] **Pneumonia**", ("Edema",), ("☐Fracture", "☐Pneumonia")),
        ("| Edema | ✓ |\n| Fracture | ✗ |", ("Edema",), ("☐Fracture",)),
        ("Edema, ✓, Fracture, ✗", ("Edema",), ("☐Fracture",)),
        ("[1] Edema\n[0] Fracture", ("Edema",), ("☐Fracture",)),
        ("~~Edema, Fracture~~, Pneumonia", ("Pneumonia",), ("☐Edema", "☐Fracture")),
        ("Edema +, Fracture -", ("Edema",), ("☐Fracture",)),
        ("○ Edema\n○ Fracture", ("Edema", "Fracture"), ()),
        ("Edema (), [], Fracture", ("Edema", "Fracture"), ()),
        ("[] Edema, [ x ] Fracture", ("Fracture",), ("☐Edema",)),
        ("☑ Edema ☐ Fracture", ("Edema",), ("☐Fracture",)),
        (
            "(x) Edema; ( ) Fracture; □ Pneumonia; ⬜ Lung Lesion",
            ("Edema",),
            ("☐Fracture", "☐Pneumonia", "☐Lung Lesion"),
        ),
        ("~~Edema~~, Fracture ❌, ☒Pneumonia", (), ("☐Edema", "☐Fracture", "☐Pneumonia")),
        ("☐\nEdema\n☑\nFracture", ("Fracture",), ("☐Edema",)),
        ("( )", (), ()),
        ("Edema - Fracture, x Edema, 2 Edema, Edema?", (), ("Edema - Fracture", "x Edema", "2 Edema", "Edema?")),
        (">>,, a<b, Edema ✅", ("Edema",), ("a<b",)),
        ("[]", (), ()),
    ],
)
def test_lists_on_one_line_other_commas_and_boxes(body, labels, unknown):
    parsed = parse_completion(f"<solution>{body}</solution>", ONLY_SOLUTION)
    assert (parsed.labels, parsed.unknown) == (labels, unknown)


@pytest.mark.parametrize(
    "body", ["Edema and Fracture", "No Edema", "Edema (mild)", "Pleural_Effusion", "Edema\x00", "\u200fEdema"]
)
def test_nothing_else_is_forgiven(body):
    labels, unknown, duplicates = read_labels(body)
    assert (labels, len(unknown), duplicates) == ((), 1, 0)


def test_every_mention_counts():
    mentions = "gout, Edema, gout, edema, Airspace Opacity, Lung Opacity, Edema"
    assert read_labels(mentions) == (("Edema", "Lung Opacity"), ("gout", "gout"), 3)


def test_a_writer_refuses_what_could_not_be_read_back():
    for thought, names in (("a", set()), ("a", {"Gout"}), ("a <think>", {"Edema"})):
        with pytest.raises(ValueError, match="expected"):
            write_completion(thought, names, THINK_SOLUTION)


HOSTILE = {
    "opening tags": lambda n: "<think>" * n,
    "closing tags": lambda n: "</solution>" * n,
    "nested pairs": lambda n: "<think>" * n + "</think>" * n,
    "alternating": lambda n: "<think><solution></think></solution>" * (n // 4),
    "half tags": lambda n: "<thin" * n + "<",
    "angle brackets": lambda n: "<" * (7 * n),
    "commas": lambda n: "<think></think><solution>" + "," * (7 * n) + "</solution>",
    "unknown labels": lambda n: "<think></think><solution>" + "gout, " * n + "</solution>",
    "one long label": lambda n: "<think></think><solution>" + "E " * (3 * n) + "</solution>",
    "decoration": lambda n: "<think></think><solution>" + "[" * (3 * n) + "x" + "]" * (3 * n) + "</solution>",
    "null bytes": lambda n: "\x00" * (7 * n) + GOOD,
    "right-to-left marks": lambda n: "\u202e\u200f" * (3 * n) + GOOD,
    "lone surrogates": lambda n: "\ud800" * (7 * n) + GOOD,
    "line breaks": lambda n: "<solution>" + "\r\n" * (3 * n) + "</solution>",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_takes_linear_time(kind):
    # 7 megabytes: at most two seconds of processor time where this was written, and many minutes if it were quadratic.
    text, start = HOSTILE[kind](1_000_000), time.process_time()
    parse_completion(text, THINK_SOLUTION)
    assert time.process_time() - start < 60


def test_random_soup_of_tags_never_raises_and_stays_consistent():
    rng = np.random.default_rng(1)
    pieces = ["<think>", "</think>", "<solution>", "</solution>", "Edema", ", ", "gout", "<", "\n", "\x00", "."]
    for _ in range(3000):
        text = "".join(rng.choice(pieces, size=int(rng.integers(0, 14))).tolist())
        parsed = parse_completion(text, THINK_SOLUTION, truncated=bool(rng.random() < 0.2))
        assert parsed.failed == (not parsed.labels)
        assert bool(parsed.outside) == (OUTSIDE in parsed.failures)
        structural = {MISSING, REPEATED, ORDER} & parsed.failures
        assert parsed.valid == (not structural and text.count("</solution>") == 1 and text.count("</think>") == 1)
