"""What the teacher is told, and whether its answer may become a trace (section 3.2.1).

Here are image and labels; reason as if you had only the image: no more of it is in the text we have, so the words are
ours. The small model's prompt is quoted whole, so that a trace answers the very task that it will be a lesson for.
Raise VERSION when the text changes: each trace carries it.

A teacher's text is untrusted. It must have the format and the recorded labels, and nothing that would spoil a lesson:
text outside the blocks, marks that a model's processor reads as image or turn, or a hint that the labels were known.
"""

import re
from collections.abc import Iterable

from chexreason.completions import parse_completion
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.prompts import Prompt
from companion.replication.traces.ask import Answer

VERSION = 1

_TEACHER = """\
You write model answers from which a smaller model will learn to read chest images. The image is the image
in this message. The labels that apply to it are known: {labels}.

Write the answer that an experienced radiologist would give who sees this image and nothing else. Begin with
what can be seen, say where it is and how marked it is, and let the labels follow from it. Each label above
has to be argued for, and no other. Where the image shows little of a label, say that the sign is subtle. Never
mention or hint that labels were known beforehand. Say nothing that one frontal image cannot show: no history,
no earlier image, no name, no date.

This is the task as the smaller model is given it. Answer it in exactly the form it asks for:

{task}

The last block holds exactly these names in this order: {labels}. Write plain text, with nothing before the first block
or after the last, no other tags, and no Markdown."""

_AGAIN = "\n\nAn earlier answer was turned down: {fault}. Write a new one that avoids this."

#: Characters of reasoning at least, white space aside.
SHORTEST = 20
#: What a thought may not hold: tags of any kind, and the special tokens of the models (<|im_end|>, <start_of_turn>).
_TAG = re.compile(r"</?[A-Za-z|][^<>\n]*>|<\|")
#: Characters that are no text: controls and halves of a surrogate pair.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
#: Ways of saying that the labels were known. "Given the findings" is how radiologists speak, and allowed.
_GIVEN_AWAY = re.compile(
    r"\b(?:ground|reference)[- ]truth\b"
    r"|\b(?:given|provided|supplied|recorded|known|assigned) labels?\b"
    r"|\blabels? (?:\w+ ){0,3}(?:given|provided|supplied|recorded|assigned|known)\b"
    r"|\b(?:as|was|were|been) (?:instructed|told)\b"
    r"|\byou(?:r)? (?:gave|told|provided|instructions?)\b",
    re.IGNORECASE,
)
#: What may follow a model's name in that of the model that answered: a dated or numbered version, or its place.
_VERSION = re.compile(r"(-(\d|preview|exp)[\w.-]*|[@:].*)?")


def instruction(prompt: Prompt, labels: Iterable[str], fault: str = "") -> str:
    """The text sent beside the image; `fault` is why the last answer was turned down. Labels in CheXpert's order."""
    wanted = frozenset(labels)
    names = ", ".join(name for name in FINDINGS if name in wanted)
    return _TEACHER.format(labels=names, task=prompt.text) + (_AGAIN.format(fault=fault) if fault else "")


def version(prompt: Prompt) -> str:
    """The versions of the teacher's text and of the prompt it quotes, "1.1" for instance."""
    return f"{VERSION}.{prompt.version}"


def fault(answer: Answer, prompt: Prompt, recorded: frozenset[str]) -> str:
    """Why an answer is turned down, in words that hold nothing of it; "" for one that may become a trace.

    >>> from chexreason import prompts
    >>> free = prompts.get("free_reasoning")
    >>> text = "<think>The heart is clearly enlarged.</think><solution>Cardiomegaly</solution>"
    >>> fault(Answer(text), free, frozenset({"Cardiomegaly"})), fault(Answer(text), free, frozenset({"Edema"}))
    ('', 'other labels than those recorded')
    """
    text = answer.text.strip()
    parsed = parse_completion(text, prompt.answer)
    thought = text.partition("<think>")[2].partition("</think>")[0]
    thinks = prompt.answer.think
    checks = (
        (answer.refused, "refused by the server's filters"),
        (not text, "an empty answer"),
        (answer.cut, "cut off at the length limit"),
        (_NO_TEXT.search(text), "characters that are no text"),
        (not parsed.valid, "not the blocks asked for"),
        (frozenset(parsed.labels) != recorded or parsed.unknown, "other labels than those recorded"),
        (parsed.failures, "text outside the blocks, or a label twice"),
        (thinks and len("".join(thought.split())) < SHORTEST, "no reasoning to speak of"),
        (thinks and _TAG.search(thought), "tags that were not asked for"),
        (thinks and _GIVEN_AWAY.search(thought), "words that give away that the labels were known"),
    )
    return next((reason for wrong, reason in checks if wrong), "")


def same_model(asked: str, got: str) -> None:
    """Raise UserError if another model answered than was asked; a server that names none is believed.

    Services replace a withdrawn model and go on answering (ai.google.dev/gemini-api/docs/deprecations): traces of a
    teacher that nobody chose must not pass for the paper's.

    >>> same_model("gemini-2.5-pro", "models/gemini-2.5-pro-002")
    """
    wanted, answered = (name.rpartition("/")[2].lower() for name in (asked, got))
    if got and not (answered.startswith(wanted) and _VERSION.fullmatch(answered.removeprefix(wanted))):
        raise UserError(
            f"answers of {asked}", f"one of {got[:60]!r}: the server has put another model in its place",
            "set teacher.model to a model that the server has",
        )  # fmt: skip
