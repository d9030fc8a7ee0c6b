"""Section 4.3, Table 4: GRPO with two rewards, scored on the validation studies."""

from collections.abc import Callable

from companion.evidence.claims.checks import MARGIN, both, close, measured, minus, rises
from companion.evidence.claims.quantity import Quantity
from companion.evidence.claims.sides import Side, common, over, rare
from companion.evidence.claims.twins import last, micro, with_twins
from companion.evidence.claims.verdicts import AS_COUNTED, AVERAGING, BEYOND_CHANCE, CHECKPOINT, Claim

Check = Callable[[Side], Quantity]
TABLE = 4
VALIDATION = "section 4.3, Table 4"


def _from_sft(row: str, average: str = "macro") -> Check:
    """From the SFT checkpoint on the validation studies (Table 2) to a row of Table 4."""
    return lambda side: side.score(TABLE, row, average) - side.score(2, "free_reasoning", average)


def _both_rewards(checkpoint: str, average: str = "macro") -> Check:
    return both(*(_from_sft(f"{reward}_{checkpoint}", average) for reward in ("hard", "nuanced")))


def _validation_change(side: Side, names: tuple[str, ...]) -> Quantity:
    return over(side, TABLE, "hard_best", names) - over(side, 2, "free_reasoning", names)


def _claim(
    name: str, says: str, rests_on: str, check: Check, evidence: str = "validation", kind: str = BEYOND_CHANCE,
    place: str = VALIDATION, choice: tuple[tuple[str, str], ...] = (), stated: bool = True,
    sharpened: bool = False,
) -> Claim:  # fmt: skip
    return Claim(
        name, place, says, rests_on, check, "GRPO", evidence, kind, choice=choice, stated=stated, sharpened=sharpened
    )


CLAIMS = (
    *with_twins(
        _claim("hard-beats-nuanced-macro",
               "The simple hard reward is marginally better than the nuanced one (macro-F1).",
               "macro-F1 at the best checkpoint: hard less nuanced", rises(TABLE, "nuanced_best", "hard_best"),
               choice=((AVERAGING, "hard-beats-nuanced-micro"),)),
        last("macro-F1 at the last step: hard less nuanced", rises(TABLE, "nuanced_last", "hard_last"))),
    *with_twins(
        _claim("hard-beats-nuanced-micro",
               "The simple hard reward is marginally better than the nuanced one (micro-F1).",
               "micro-F1 at the best checkpoint: hard less nuanced",
               rises(TABLE, "nuanced_best", "hard_best", "micro"),
               choice=((AVERAGING, "hard-beats-nuanced-macro"),)),
        last("micro-F1 at the last step: hard less nuanced", rises(TABLE, "nuanced_last", "hard_last", "micro"))),
    *with_twins(
        _claim("rewards-comparable", "The hard reward performs comparably to the engineered one.",
               f"macro-F1 at the best checkpoint: {MARGIN} less their distance",
               close(TABLE, "hard_best", "nuanced_best"), sharpened=True),
        micro(f"micro-F1 at the best checkpoint: {MARGIN} less their distance",
              close(TABLE, "hard_best", "nuanced_best", "micro")),
        last(f"macro-F1 at the last step: {MARGIN} less their distance", close(TABLE, "hard_last", "nuanced_last"))),
    *with_twins(
        _claim("jaccard-suffices",
               "Jaccard similarity and a strict format are signal enough: the hard reward improves on SFT.",
               "macro-F1 at the best checkpoint: the hard reward less SFT", _from_sft("hard_best")),
        micro("micro-F1 at the best checkpoint: the hard reward less SFT", _from_sft("hard_best", "micro")),
        last("macro-F1 at the last step: the hard reward less SFT", _from_sft("hard_last"))),
    *with_twins(
        _claim("grpo-improves-validation", "Both rewards improve macro-F1 on the SFT checkpoint.",
               "macro-F1 at the best checkpoint: the lower of the two less SFT", _both_rewards("best"),
               choice=((CHECKPOINT, "grpo-improves-last-step"),)),
        micro("micro-F1 at the best checkpoint: the lower of the two less SFT", _both_rewards("best", "micro"))),
    _claim("grpo-improves-last-step", "That improvement does not depend on choosing the checkpoint.",
           "macro-F1 at the last step: the lower of the two less SFT", _both_rewards("last"), stated=False),
    *with_twins(
        _claim("grpo-costs-micro", "On validation, GRPO costs a little micro-F1.",
               "micro-F1 at the best checkpoint: SFT less the hard reward", minus(_from_sft("hard_best", "micro"))),
        last("micro-F1 at the last step: SFT less the hard reward", minus(_from_sft("hard_last", "micro")))),
    _claim("rare-gain-validation", "The rise of macro-F1 on validation comes from rare findings.",
           "F1 over rare findings: the hard reward less SFT",
           lambda side: _validation_change(side, rare(side, TABLE)), "table4"),
    _claim("common-lose-validation", "The fall of micro-F1 on validation comes from common findings.",
           "F1 over common findings: SFT less the hard reward",
           lambda side: _validation_change(side, common(side, TABLE)).times(-1), "table4"),
    _claim("stabilisers", "The stabilising terms eliminated the collapse.",
           "collapse with and without each term",
           measured("stabilisers", "it takes numbers of runs without each of them, and the paper prints none of its "
                    "early ones"), "collapse",
           AS_COUNTED, "section 3.2.2"),
)  # fmt: skip
