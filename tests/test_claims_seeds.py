"""The ledger on the committed experiment: which seeds a claim is judged on, and that chapter and ledger agree."""

import dataclasses
import re

import pytest

from chexreason.config import RESULTS
from chexreason.labels import NIH_SHARED
from companion.evidence import analysis, claims
from companion.evidence.analysis import OWN, Cell
from companion.evidence.claims import CLAIMS, REFUSED
from companion.evidence.claims.ours import Scored
from companion.evidence.claims.quantity import CannotTell
from companion.evidence.claims.seeds import Seeds
from companion.experiment import arms
from companion.report.experiments import answers

#: Table 2 is about formats, of which each was trained with fewer seeds than SFT and GRPO were, and one mostly in vain.
FORMATS = ("free-best-macro", "only-label-best-micro", "direct-best-medgemma", "structured-worst-medgemma",
           "narrative-moderate-medgemma", "scaffold-harms-medical", "constrained-converge-faster")  # fmt: skip
GRPO = ("grpo-improves-chexpert-nine", "training-helps-chexpert-nine", "sft-costs-chexpert-nine", "jaccard-suffices",
        "grpo-improves-validation", "hard-beats-nuanced-macro", "grpo-costs-micro")  # fmt: skip


@pytest.fixture(scope="module")
def side() -> Seeds:
    """The experiment's side."""
    opened = claims.open_side("experiment", RESULTS)
    assert isinstance(opened, Seeds)
    return opened


@pytest.fixture(scope="module")
def found(side) -> dict[str, claims.Outcome]:
    """The ledger on it."""
    return claims.outcomes(CLAIMS, side)


def seeds_of(arm: str) -> set[int]:
    """The seeds of a finished training, counted in the folder."""
    return {int(path.parents[1].name[4:]) for path in (RESULTS / "experiment").glob(f"seed*/{arm}/run.json")}


def test_each_claim_is_judged_on_the_seeds_that_have_all_its_runs(found):
    shared = set.intersection(*(seeds_of(f"sft-medgemma-{name}") for name in
                                ("only_label", "free_reasoning", "reasoning_narrative", "reasoning_a")))  # fmt: skip
    both = seeds_of("sft-medgemma-free_reasoning") & seeds_of("grpo-hard") & seeds_of("grpo-nuanced")
    assert (len(shared), len(both)) == (3, 5)
    for name in FORMATS:
        assert found[name].verdict == REFUSED
        assert found[name].reason.endswith(f"in 2 of {len(shared)} trainings"), name
    for name in GRPO:
        assert f", {len(both)} seeds" in found[name].n, name
        trained = {run.split("/")[0] for run in found[name].runs if "base-best" not in run}
        assert trained == {f"seed{seed}" for seed in both}, name
    # One number of seeds on both sides of each difference: nothing is over 3 here and 5 there.
    for name, one in found.items():
        assert len(set(re.findall(r"(\d+) seeds", one.n))) <= 1, name


def test_chapter_and_ledger_agree_on_grpos_gain_at_home(found):
    gain = analysis.change("grpo-hard-best", f"{arms.SFT}-best", Cell("B", "B", OWN["B"]))
    chapter, ledger = analysis.contrast(answers.answers.__wrapped__(), gain), found["grpo-improves-chexpert-nine"]
    assert ledger.effect == pytest.approx(chapter.estimate, abs=1e-12)
    assert (ledger.low, ledger.high) == pytest.approx((chapter.low, chapter.high), abs=0.01)
    assert f"{len(chapter.seeds)} seeds" in ledger.n
    assert set(chapter.findings) < set(NIH_SHARED), "those with too few positives are outside"


def test_constant_and_worse_than_blind_trainings_are_in_no_verdict(found, side):
    """Qwen's formats say the same of every image, and SFT and GRPO at C score below naming every label."""
    for name in ("structured-best-qwen-macro", "free-struggles-qwen", "format-depends-on-pretraining",
                 "narrative-fails-most-qwen", "only-label-never-fails"):  # fmt: skip
        assert found[name].verdict == REFUSED
        assert re.match(r"sft-qwen-\w+ gives one answer to \d+% of the images", found[name].reason), name
    for name in ("grpo-loses-nih", "sft-best-nih", "back-to-baseline", "sft-over-grpo"):
        assert found[name].verdict == REFUSED
        assert re.match(r"\S+-best scores 0\.\d{3}, below naming every label \(0\.\d{3}\)", found[name].reason), name
    for ask in (lambda: side.score(3, "only_label"), lambda: side.failure(3, "only_label"),
                lambda: side.finding(3, "only_label", "Edema")):  # fmt: skip
        with pytest.raises(CannotTell, match="sft-qwen-only_label gives one answer"):
            side.settle(lambda _, ask=ask: ask())


def test_an_order_of_trainings_has_no_winner_inside_the_noise(found):
    """One reward leads the other by chance; that the untouched model leads SFT is another matter."""
    for name in ("hard-beats-nuanced-macro", "hard-beats-nuanced-micro-last-step", "sft-weakest-chexpert-nine"):
        assert found[name].verdict == claims.CHANCE
        assert found[name].low < 0 < found[name].high
    assert found["sft-costs-chexpert-nine"].verdict == claims.HOLDS
    assert found["sft-costs-chexpert-nine"].low > 0
    assert (found["stabilisers"].verdict, found["stabilisers"].effect) == (REFUSED, None)
    assert found["stabilisers"].reason.startswith("nothing collapsed, with the stabilisers or without")


@pytest.mark.parametrize("ask", [Seeds.accuracy, Seeds.pace])
@pytest.mark.parametrize(
    ("held", "why"),
    [((0.95, 0.5, 0.2), "gives one answer to 95% of the images"), ((0.2, 0.0, 0.2), "scores .*below naming every")],
)
def test_the_curves_of_an_unfit_training_are_in_no_verdict(side, monkeypatch, ask, held, why):
    """One training that is constant or below naming every label is enough."""
    assert side.settle(lambda one: ask(one, "only_label")).trainings == 3
    fit = (0.2, 0.25, 0.2)
    monkeypatch.setattr(Scored, "against_floor", lambda one, _: held if "seed1" in str(one.run.folder) else fit)
    with pytest.raises(CannotTell, match=f"sft-medgemma-only_label {why}"):
        side.settle(lambda one: ask(one, "only_label"))


@pytest.fixture(scope="module")
def alone() -> Seeds:
    """The same side with a single seed."""
    one = Seeds(RESULTS / "experiment")
    one.trainings, one.using = {0: one.trainings[0]}, (0,)
    one._answers = dataclasses.replace(
        one._answers, of={(model, seed): rows for (model, seed), rows in one._answers.of.items() if seed == 0}
    )
    return one


@pytest.mark.parametrize("what", ["labels", "curriculum", "reward"])
def test_one_seed_measures_nothing_about_training(alone, what):
    with pytest.raises(CannotTell, match="one training: another may come out otherwise"):
        alone.measured(what, "was not run")


def test_one_seed_alone_tests_no_claim_about_training(side, alone):
    """Every claim with a trained model is refused, with effect and interval."""
    for name in ("direct-best-medgemma", "free-best-macro"):
        told = claims.judge(CLAIMS[name], alone)
        assert told.verdict == REFUSED, name
        assert re.search("below naming every label|gives one answer", told.reason), name
    for name in ("jaccard-suffices", "grpo-improves-chexpert-nine"):
        told = claims.judge(CLAIMS[name], alone)
        assert told.verdict == REFUSED, name
        assert told.reason.startswith("one training: another may come out otherwise")
        assert told.low <= told.effect <= told.high
    asks = [lambda one: one.score(2, "free_reasoning"), lambda one: one.score(2, "only_label"),
            lambda one: one.finding(5, "medgemma", NIH_SHARED[3])]  # fmt: skip
    assert [side.settle(ask).trainings for ask in asks] == [5, 3, None]  # the last one is the untouched model
