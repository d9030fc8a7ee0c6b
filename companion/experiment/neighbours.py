"""What the arms of question 6 need beside settings: the neighbours of the paper, as faithful as the miniature allows.

Which studies are rewarded (`farthest_first`, `differing`), three rewards, an answer before its reasoning, and adapters
between two others.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peft import PeftModel

from chexreason import files, prompts, traces
from chexreason.completions import ONLY_SOLUTION, Parsed
from chexreason.config import Profile
from chexreason.labels import FINDINGS, NO_FINDING
from chexreason.models import Loaded
from chexreason.prompts import TASK, Prompt
from chexreason.rewards import Hard, Labels, Terms, jaccard
from chexreason.settings import assumed
from companion.experiment import words
from companion.experiment.mentions import argued

_FIRST = "Think briefly about what you see. Put only the names of the labels that apply, separated by commas, inside"
#: Answer, then reasons. The reader of completions knows no such order: to it the reasoning is text outside the block.
THINK_AFTER = Prompt(
    "think_after", 1, "Think After", "The labels, then a concise analysis",
    f"{TASK.format(labels=', '.join(FINDINGS))} {_FIRST} <solution></solution>, then the reasoning inside "
    "<think></think>.", ONLY_SOLUTION,
)  # fmt: skip


def prompt(name: str) -> Prompt:
    """The prompt of that name. Think After stays out of the registry: tokenizers and the book use all prompts there."""
    return THINK_AFTER if name == THINK_AFTER.name else prompts.get(name)


def write_answer_first(profile: Profile) -> None:
    """The teacher's Free Reasoning traces with their two blocks swapped, as the traces of Think After."""
    lines = []
    for line in traces.read(traces.place(profile, prompts.get("free_reasoning"))).values():
        thought, closing, answer = line["trace"].partition("</think>")
        lines.append(json.dumps({**line, "trace": answer + thought + closing}) + "\n")
    files.write_atomically(traces.place(profile, THINK_AFTER), "".join(lines).encode())


@dataclass
class Process(Hard):
    """Equation 3 and a share for reasoning: Jaccard of the findings argued for with the labels (ChestX-Reasoner,
    arXiv:2504.20930, whose steps come from reports and whose code of this reward is not public).

    What would game it: a bare list of the answer's findings in the think block, or the answer copied there; denials
    that the rule does not know ("edema is absent" argues for edema); silence, which is right of every normal study.
    """

    weight: float = assumed(0.5, "ChestX-Reasoner's code of it is not public", "most that the reasoning earns")

    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        abnormal, said = truth - {NO_FINDING}, argued(text)
        agreement = jaccard(abnormal, said) if abnormal | said else 1.0
        return {**super().__call__(answer, truth, text), "process": self.weight * agreement * answer.valid}


@dataclass
class NvReason(Hard):
    """NV-Reason's public reward (train/vlm_rewards.py): Jaccard if there is nothing but the blocks, less a ramp that
    falls from `short_penalty` for no text to nothing at `min_length`, whatever the form.

    What would game it: padding, as with equation 3; and, malformed or wrong, a long text does better than a short one.
    """

    short_penalty: float = assumed(1.0, "theirs is -1 for no token, 0 from 400 tokens on", "price of an empty text")

    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        earned = super().__call__(answer, truth, text)["jaccard"] * (not answer.outside)
        missing = max(0, self.min_length - len(text)) / max(1, self.min_length)
        return {"jaccard": earned, "ramp": 0.0 - self.short_penalty * missing}


@dataclass
class ThinkAfter(Hard):
    """Equation 3 for an answer that stands before its reasoning: valid only if one think block follows.

    What would game it: what games equation 3; and reasons that have nothing to do with the answer, already given.
    """

    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        once = text.count("<think>") == text.count("</think>") == 1
        follows = text.find("</solution>") < text.find("<think>") < text.find("</think>")
        return super().__call__(replace(answer, valid=answer.valid and once and follows), truth, text)


#: The three by name; `run.at` registers the one that an arm needs, since the book lists all that are registered.
OWN: dict[str, type[Hard]] = {"process": Process, "nv_reason": NvReason, "think_after": ThinkAfter}


def farthest_first(sets: Sequence[Labels], n: int) -> list[int]:
    """The places of `n` sets: the first one, then each time the one farthest from all taken, by Jaccard distance.

    Of several that are as far, the first. After the last new set repeats come, in order (Gonzalez 1985).
    """
    taken, away = [0], np.full(len(sets), np.inf)
    while len(taken) < n:
        away = np.minimum(away, [1 - jaccard(sets[taken[-1]], one) for one in sets])
        away[taken[-1]] = -1
        taken.append(int(away.argmax()))
    return taken


def differing(cells: Sequence[str], credit: Sequence[Labels]) -> npt.NDArray[np.bool_]:
    """Which studies' sampled answers (`words`) earn different rewards by equation 3 less its length rule.

    The groups that alone can teach: DAPO's dynamic sampling (arXiv:2503.14476), DC-SFT's middle (arXiv:2602.10815).
    """
    said, failed = words.read(cells)
    void = failed | np.char.endswith(np.array([cell.split(" ") for cell in cells]), "~")
    truth = np.array([[name in names for name in FINDINGS] for names in credit])[:, None]
    points = np.where(void, 0.0, (said & truth).sum(-1) / (said | truth).sum(-1))
    differs: npt.NDArray[np.bool_] = points.min(1) < points.max(1)
    return differs


def blend(loaded: Loaded, start: Path, end: Path, share: float, place: Path) -> None:
    """Leave at `place` the adapter that lies `share` of the way from one to another: (1 - share) B A + share B' A'.

    Exact: both factors stand side by side, at twice the rank. WiSE-FT (arXiv:2109.01903), WARP (arXiv:2406.16768).
    """
    model = PeftModel.from_pretrained(loaded.model, str(start), adapter_name="start")
    model.load_adapter(str(end), "end")
    model.add_weighted_adapter(["start", "end"], [1 - share, share], "default", combination_type="cat")
    shutil.rmtree(place, ignore_errors=True)
    model.save_pretrained(str(place), selected_adapters=["default"])
    files.seal(place)
