"""What the teacher is told (section 3.2.1): here are film and labels; reason as if you had only the film.

Neither its wording nor more about it is in the text we have, so the text is ours. The format is that of the prompt
which the small model will be given, and that prompt is quoted whole, so that a trace answers the very task it
will be a lesson for. Raise VERSION when the text changes: each trace carries it.
"""

from collections.abc import Iterable

from chexreason.labels import FINDINGS
from chexreason.prompts import Prompt

VERSION = 1

_TEACHER = """\
You write model answers from which a smaller model will learn to read chest films. The film is the image
in this message. The labels that apply to it are known: {labels}.

Write the answer that an experienced radiologist would give who sees this film and nothing else. Begin with
what can be seen, say where it is and how marked it is, and let the labels follow from it. Each label above
has to be argued for, and no other. Where the film shows little of a label, say that the sign is subtle. Never
mention or hint that labels were known beforehand. Say nothing that one frontal film cannot show: no history,
no earlier film, no name, no date.

This is the task as the smaller model is given it. Answer it in exactly the form it asks for:

{task}

The last block holds exactly these names in this order: {labels}. Write plain text, with nothing before the first block
or after the last, no other tags, and no Markdown."""

_AGAIN = "\n\nAn earlier answer was turned down: {fault}. Write a new one that avoids this."


def needs_teacher(prompt: Prompt) -> bool:
    """Whether there is anything to ask: an answer without reasoning is the labels themselves."""
    return prompt.answer.think


def told(prompt: Prompt, labels: Iterable[str], fault: str = "") -> str:
    """The text sent beside the film; `fault` is why the last answer was turned down. Labels in CheXpert's order."""
    wanted = frozenset(labels)
    names = ", ".join(name for name in FINDINGS if name in wanted)
    return _TEACHER.format(labels=names, task=prompt.text) + (_AGAIN.format(fault=fault) if fault else "")


def version(prompt: Prompt) -> str:
    """The versions of the teacher's text and of the prompt it quotes, 1.1 say."""
    return f"{VERSION}.{prompt.version}"
