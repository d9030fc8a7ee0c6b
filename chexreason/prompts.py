"""The instructions sent to the models: nine variants of Table 1 and the formats of Table 2.

The paper prints one line about each variant ("key design cues", section 4.1) and not the prompts themselves, so every
text here is ours, written from those cues. A text is composed of the task with the list of labels, the strategy of the
variant, and the answer format, so that two variants differ in their strategy and in nothing else. Raise `version` when
a text changes: it is written into every run. NV-Reason gets the sentence and the answer tags of its own model card.
"""

from dataclasses import dataclass

from chexreason.completions import ONLY_SOLUTION, THINK_ANSWER, THINK_SOLUTION, AnswerFormat
from chexreason.errors import unknown
from chexreason.labels import FINDINGS


@dataclass(frozen=True)
class Prompt:
    """One instruction, with the answer format it asks for."""

    name: str
    version: int
    title: str  # as the paper's tables write it
    cue: str  # what sets the variant apart, in our words
    text: str  # the instruction sent beside the image
    answer: AnswerFormat


TASK = "You are a radiologist reading one frontal chest X-ray. Decide which labels apply: {labels}."
ANSWER_RULES = {
    THINK_SOLUTION: "Put the reasoning inside <think></think>, then only the names of the labels that apply, "
    "separated by commas, inside <solution></solution>.",
    ONLY_SOLUTION: "Answer without any reasoning: only the names of the labels that apply, "
    "separated by commas, inside <solution></solution>.",
}

#: The twelve steps of Reasoning A; the scripted teacher follows the same list.
CHECKLIST: tuple[str, ...] = (
    "film quality", "devices", "airway", "mediastinum", "heart size", "lung vessels", "airspaces", "lung volumes",
    "nodules", "pleura", "costophrenic angles", "bones",
)  # fmt: skip


def compose(strategy: str, answer: AnswerFormat) -> str:
    """Task and label list, strategy, answer format, as one paragraph."""
    parts = (TASK.format(labels=", ".join(FINDINGS)), strategy, ANSWER_RULES[answer])
    return " ".join(part for part in parts if part)


def _prompt(title: str, cue: str, strategy: str, answer: AnswerFormat = THINK_SOLUTION) -> Prompt:
    name = title.lower().replace(" ", "_").replace("-", "_")
    return Prompt(name, 1, title, cue, compose(strategy, answer), answer)


_STEPS = "; ".join(f"{number} {step}" for number, step in enumerate(CHECKLIST, start=1))

_PROMPTS = (
    _prompt(
        "Reasoning Narrative",
        "An expert's free narrative that gathers the evidence",
        "Reason as an experienced reader dictates: tell in flowing sentences what you see, where it lies "
        "and how marked it is, weigh the evidence together, and conclude.",
    ),
    _prompt(
        "Reasoning Self-Check",
        "A scan region by region, then a pass that verifies each candidate",
        "First scan region by region: devices, heart, lungs, pleura, bones. Then check: test each candidate "
        "label against what you saw, and keep only those that hold.",
    ),
    _prompt(
        "Reasoning Hypothesis",
        "Candidate findings compared as rival hypotheses",
        "State the candidate findings as hypotheses. For each, weigh the signs for it against the signs "
        "against it, compare the rivals, and keep those that fit best.",
    ),
    _prompt(
        "Reasoning A",
        "A fixed checklist of twelve steps in a strict format (the paper's baseline)",
        f"Work through all twelve numbered steps, one short line each: {_STEPS}.",
    ),
    _prompt(
        "Reasoning B",
        "A review of the lung zones that tells look-alikes apart",
        "Review the lungs zone by zone, right then left, upper to lower. For each abnormal zone say which "
        "pathology explains it and which similar one does not. Then judge heart, pleura and bones.",
    ),
    _prompt(
        "Reasoning C",
        "A report heavy in evidence with a matrix of labels and confidences",
        "Write the evidence for each abnormality. Then write a matrix that gives labels a confidence of "
        "high, medium or low. Answer with the labels of high or medium confidence.",
    ),
    _prompt(
        "Reasoning D",
        "Labels given by definition, under strict criteria",
        "Use strict definitions. For each label in question, state the criterion that defines it and "
        "whether this film meets it. Answer only with labels whose criterion is met.",
    ),
    _prompt(
        "Reasoning E",
        "A second look at the places where findings are missed",
        "Give a first look at the whole film. Then take a second look at the blind spots: apices, hila, "
        "behind the heart, below the diaphragm, ribs. Add what the first look missed.",
    ),
    _prompt(
        "Reasoning F",
        "A differential diagnosis for each abnormality",
        "For each abnormality, give a differential diagnosis: name the likely cause and at least one "
        "alternative, say which is favoured and why. Then conclude.",
    ),
    _prompt("Free Reasoning", "A concise analysis, then the labels", "Think briefly about what you see."),
    _prompt("Only Label", "The labels at once, without reasoning", "", ONLY_SOLUTION),
    Prompt(
        "nv_reason", 1, "NV-Reason", "The sentence that NV-Reason-CXR-3B was trained with",
        "Find abnormalities and support devices.", THINK_ANSWER,
    ),
)  # fmt: skip

#: The nine variants in the order of Table 1, and the four formats in the order of Table 2.
TABLE1_PROMPTS: tuple[str, ...] = (
    "reasoning_narrative", "reasoning_self_check", "reasoning_hypothesis",
    *(f"reasoning_{letter}" for letter in "abcdef"),
)  # fmt: skip
SFT_FORMATS: tuple[str, ...] = ("only_label", "free_reasoning", "reasoning_narrative", "reasoning_a")

#: Every prompt by name; one of your own is added by `PROMPTS[name] = Prompt(...)` in a module that a profile names.
PROMPTS: dict[str, Prompt] = {prompt.name: prompt for prompt in _PROMPTS}


def get(name: str) -> Prompt:
    """The prompt of that name; raises UserError naming the known ones.

    >>> get("free_reasoning").title
    'Free Reasoning'
    """
    if name not in PROMPTS:
        raise unknown("prompt", name, PROMPTS, "chexreason/prompts.py")
    return PROMPTS[name]
