"""Whether a teacher's answer may become a lesson: read by the parser that reads the students, and held to the labels.

A teacher's text is untrusted. It must have the format and the recorded labels, and nothing that would spoil a lesson:
text outside the blocks, marks that a model's processor reads as film or turn, or words that give away that the labels
were known.
"""

import re

from chexreason.completions import parse_completion
from chexreason.prompts import Prompt
from companion.replication.traces.answer import Answer

#: Characters of reasoning at least, white space aside.
SHORTEST = 20
#: What a thought may not hold: tags of any kind, and the special tokens of the models (<|im_end|>, <start_of_turn>).
_TAG = re.compile(r"</?[A-Za-z|][^<>\n]*>|<\|")
#: Characters that are no text: controls and halves of a surrogate pair.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
#: Ways of saying that the labels were known. "Given the findings" is how radiologists speak, and allowed.
_GIVEN_AWAY = re.compile(
    r"\b(?:ground|reference)[- ]truth\b"
    r"|\b(?:given|provided|supplied|recorded|known|assigned) labels?\b"
    r"|\blabels? (?:\w+ ){0,3}(?:given|provided|supplied|recorded|assigned|known)\b"
    r"|\b(?:as|was|were|been) (?:instructed|told)\b"
    r"|\byou(?:r)? (?:gave|told|provided|instructions?)\b",
    re.IGNORECASE,
)


def fault(answer: Answer, prompt: Prompt, recorded: frozenset[str]) -> str:
    """Why an answer is turned down, in words that hold nothing of it; "" for one that may become a trace.

    >>> from chexreason import prompts
    >>> free = prompts.get("free_reasoning")
    >>> text = "<think>The heart is clearly enlarged.</think><solution>Cardiomegaly</solution>"
    >>> fault(Answer(text), free, frozenset({"Cardiomegaly"})), fault(Answer(text), free, frozenset({"Edema"}))
    ('', 'other labels than those recorded')
    """
    if answer.refused:
        return "refused by the server's filters"
    text = answer.text.strip()
    if not text:
        return "an empty answer"
    if answer.cut:
        return "cut off at the length limit"
    if _NO_TEXT.search(text):
        return "characters that are no text"
    parsed = parse_completion(text, prompt.answer)
    if not parsed.valid:
        return "not the blocks asked for"
    if frozenset(parsed.labels) != recorded or parsed.unknown:
        return "other labels than those recorded"
    if parsed.failures:
        return "text outside the blocks, or a label twice"
    return _fault_of_thought(text, prompt) if prompt.answer.think else ""


def _fault_of_thought(text: str, prompt: Prompt) -> str:
    thought = text[text.index("<think>") + len("<think>") : text.index("</think>")]
    if len("".join(thought.split())) < SHORTEST:
        return "no reasoning to speak of"
    if _TAG.search(thought):
        return "tags that were not asked for"
    if _GIVEN_AWAY.search(thought):
        return "words that give away that the labels were known"
    return ""
