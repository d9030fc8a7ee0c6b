"""Where the paper says two things: text against text, table, equation or setting, with both places.

Where numbers decide, an entry rests on claims of the ledger that its numbers do not bear out, or carries a check of its
own: if a transcription changed, an entry that no longer holds would drop out. Places are sections, tables and equations
of arXiv 2512.23090, version 2; words are ours except for a few that are quoted. The text is taken at its word: a figure
of speech or an opinion is no entry, and what is said of one data set is not held against another. Where an entry hangs
on something that a section missing from our text may state, it says "if".
"""

from collections.abc import Callable
from dataclasses import dataclass

from chexreason import recipe
from chexreason.rewards import Nuanced
from companion.evidence.audit import attainability, facts, matched
from companion.evidence.audit.conventions import uncertain_share
from companion.evidence.claims import CLAIMS
from companion.evidence.claims.published import Published
from companion.evidence.claims.verdicts import reaches


@dataclass(frozen=True)
class Contradiction:
    """Two statements that do not go together, or one that leaves something out which the other shows."""

    first: str  # where
    says: str
    second: str  # where
    against: str
    stands: Callable[[], bool] | None = None  # whether the numbers still contradict; None where it is words alone
    matters: str = ""


def found() -> list[Contradiction]:
    """Those that the numbers bear out, and those in words alone."""
    return [one for one in CONTRADICTIONS if one.stands is None or one.stands()]


def _short(*names: str) -> Callable[[], bool]:
    """Whether the printed numbers bear out none of these claims."""

    def stands() -> bool:
        side = Published(validation_size)
        return not any(reaches(CLAIMS[name], CLAIMS[name].check(side).value) for name in names)

    validation_size = facts.size("chexpert", "test")
    return stands


def _fail(table: int) -> float:
    return facts.value(table, "reasoning_narrative", "all", "failure_rate")


def _lost(model: str) -> float:
    """Fall of a model from CheXpert to NIH as the paper computes it."""
    return -matched.crossings()[model].stated


def _text(table: int, row: str, column: str) -> str:
    """A cell as printed, so that no value is written down a second time."""
    return facts.cells(table)[row, column, "f1"]


def _decided_by_radiologists() -> bool:
    return uncertain_share("mimic", "train") > 0 and uncertain_share("chexpert", "test") == 0


_FREE, _ONLY = _text(2, "free_reasoning", "macro"), _text(2, "only_label", "macro")
_SFT, _SFT_FAR = _text(5, "macro", "medgemma_sft"), _text(6, "macro", "medgemma_sft")
_CHEX, _BASE, _NARRATIVE = _text(5, "macro", "chexreason"), _text(5, "macro", "medgemma"), "reasoning_narrative"
_SETTINGS = recipe.GRPO

CONTRADICTIONS: tuple[Contradiction, ...] = (
    Contradiction(
        "section 5", f"MedGemma did best with direct label prediction, macro-F1 {_FREE}",
        "Table 2, section 4.2", f"{_FREE} is Free Reasoning; Only Label has {_ONLY}",
        _short("direct-best-medgemma"), "the conclusion about formats rests on it"),
    Contradiction(
        "abstract, section 4.3", "CheXpert is the in-distribution test",
        "section 4.3 (next paragraph), Table 5, section 5",
        "CheXpert is one of two out-of-distribution test sets, out-of-sample, and MIMIC is out-of-distribution to it",
        matters="the authors have settled it: their summary of 22 May 2026 calls both test sets out-of-distribution. "
        "What the argument sets against each other is then two transfers, not a benchmark and a transfer"),
    Contradiction(
        "section 4.2", "the ranking of formats reverses completely between the two models",
        "Tables 2 and 3", "by macro-F1 Free Reasoning, Only Label and Reasoning Narrative keep their order",
        _short("reversal-macro", "reversal-micro")),
    Contradiction(
        "section 4.2", "Reasoning Narrative has moderate scores on Qwen2.5-VL",
        "Table 3", f"by micro-F1 it does, second of four ({_text(3, _NARRATIVE, 'micro')}); by macro-F1 it is the last "
        f"({_text(3, _NARRATIVE, 'macro')})",
        _short("narrative-moderate-macro"),
        "whether it stands depends on the averaging, which the sentence does not name"),
    Contradiction(
        "section 4.2", f"Reasoning Narrative's high failure rate is told of Qwen2.5-VL ({_fail(3):.0%})",
        "Table 2", f"on MedGemma it is higher, {_fail(2):.0%}, and goes unmentioned", lambda: _fail(2) > _fail(3)),
    Contradiction(
        "section 4.3", "both rewards improve macro-F1 on the SFT checkpoint",
        "Table 4, rows Maximum", "at the last step both are below it", _short("grpo-improves-validation-last-step"),
        "the improvement is that of the checkpoint chosen by the score it is reported by"),
    Contradiction(
        "section 4.3",
        "the recovery is particularly pronounced for findings such as Cardiomegaly, Lung Opacity and Support Devices",
        "Table 5", "Pneumonia, Pleural Effusion and Pneumothorax rise more than Support Devices",
        _short("pronounced-three-most"), "weaker than the others: the three are given as examples"),
    Contradiction(
        "section 4.3", "MIMIC and CheXpert (test) share the uncertainty encoding", "CheXpert's official test labels",
        "if Table 5 is on the official test set: radiologists decided each of its labels; none is uncertain, while "
        "MIMIC's training labels are", _decided_by_radiologists),
    Contradiction(
        "section 4.4, section 5", f"SFT improves on NIH, from {_SFT} to {_SFT_FAR}",
        "Tables 5 and 6", f"{_SFT} is its average over fourteen findings on CheXpert, {_SFT_FAR} that over nine on NIH",
        lambda: len(facts.column(5, "medgemma_sft")) != len(facts.column(6, "medgemma_sft")),
        "a difference of two label sets is read as an improvement"),
    Contradiction(
        "equation 2", "one clip bound on both sides",
        "section 3.2.2", f"asymmetric bounds, {_SETTINGS.epsilon} and {_SETTINGS.epsilon_high}",
        lambda: _SETTINGS.epsilon != _SETTINGS.epsilon_high),
    Contradiction(
        "equation 2", "each completion's loss is divided by its length",
        "section 3.2.2", "Dr. GRPO's normalisation, which takes that division out",
        lambda: _SETTINGS.loss_type == "dr_grpo"),
    Contradiction(
        "equation 3", "a valid but short and wrong answer scores below zero",
        "equation 3, last line", "an invalid answer scores zero, so nonsense beats a short honest error",
        matters="the reward is meant to enforce the format"),
    Contradiction(
        "section 3.2.2", f"one KL weight, {_SETTINGS.beta}, for both rewards", "equations 3 and 4",
        "the hard reward is at most 1, the nuanced one about 100. If advantages are not divided by their group's "
        "spread, the same weight is not the same pull; if they are, as is TRL's default, it is",
        matters="the two rewards may have been compared under different regularisation; which of the two, the section "
        "does not say"),
    Contradiction(
        "section 4.2", "the syntax-constrained formats are Only Label and Reasoning A",
        "Figure 1", "its caption counts Reasoning Narrative among them, which the text calls free-form"),
    Contradiction(
        "section 1", "three primary contributions", "section 1, the list below it", "four are listed"),
    Contradiction(
        "section 4.3", "CheXpert shares the training labels' schema; NIH is labelled otherwise",
        "how the sets were labelled",
        "if Table 5 is on the official test set: MIMIC's and NIH's labels are mined from reports, and CheXpert's are "
        "radiologists'", _decided_by_radiologists,
        "by how the labels came about, the odd one out is then the set that is said to be close to the training data"),
    Contradiction(
        "section 4.4",
        "high-performing models, NV-Reason and ChexReason, fall on NIH because they were optimised for CheXpert",
        "Tables 5 and 6, section 4.4",
        f"MedGemma, which the paper did not train, is above ChexReason on CheXpert ({_BASE} against {_CHEX}) and falls "
        f"more ({_lost('medgemma'):.0%} against {_lost('chexreason'):.0%}); Qwen2.5-VL falls by {_lost('qwen'):.0%}",
        lambda: float(_BASE) > float(_CHEX) and min(_lost("medgemma"), _lost("qwen")) > _lost("chexreason"),
        "the fall is what the paper lays to reinforcement learning"),
    Contradiction(
        "abstract, section 1", "structured reasoning gives the medical model a minimal gain",
        "section 5, Table 2",
        f"redundant, or even detrimental; Reasoning A is the worst format, {_text(2, 'reasoning_a', 'macro')} against "
        f"{_ONLY} for Only Label", _short("scaffold-small-gain-medical", "scaffold-small-gain-medical-micro")),
    Contradiction(
        "captions of Tables 1 to 4", "the scores are on CheXpert validation",
        "Tables 1 to 4, column of failure rates",
        f"CheXpert's validation set has {facts.size('chexpert', 'valid')} studies or "
        f"{facts.size('chexpert', 'valid images')} images, and neither can give the printed rates",
        lambda: all(attainability.fits(attainability.failure_rates(), facts.size("chexpert", part))
                    for part in ("valid", "valid images")),
        "what Tables 1 to 4 were scored on is not known"),
    Contradiction(
        "section 4.4", "fine-tuning on Gemini's traces is likened to distillation from an unbiased teacher; the traces "
        "stress principles, not shortcuts",
        "section 3.2.1", "Gemini was given the recorded labels and told to write as if it had reasoned without them",
        matters="the paper argues by analogy; a trace that starts from the label carries the label's conventions"),
    Contradiction(
        "section 4.3", "reinforcement learning excels at recovering performance within a labelling framework",
        "Tables 1, 2 and 4",
        f"on validation micro-F1 goes from {_text(1, _NARRATIVE, 'micro')} (untouched, best prompt) to "
        f"{_text(2, 'free_reasoning', 'micro')} (SFT) to {_text(4, 'hard_best', 'micro')} (GRPO); macro-F1 ends at "
        f"{_text(4, 'hard_best', 'macro')}, below the {_text(1, _NARRATIVE, 'macro')} of the untouched model",
        _short("jaccard-suffices-micro", "feasible-above-start", "feasible-above-start-micro"),
        "the tables that share the training labels' framework show little recovery, or none"),
    Contradiction(
        "section 3.2.2", "three mechanisms (ratio, clipping, KL) ended the collapse in all runs",
        "equation 4 and the text below it", "the nuanced reward carries a term of its own against collapse",
        lambda: min(Nuanced.collapse, Nuanced.repetition) > 0,
        "weaker than the others: what the three did by themselves was then seen under one reward only"),
)  # fmt: skip
