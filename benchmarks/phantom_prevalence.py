"""How often each hospital records each label, beside the published rates; and what `drawn` should be.

The numbers in the `drawn` column of `chexreason/phantom/hospitals.py` came from
``python benchmarks/phantom_prevalence.py --fit``, which corrects them a few times by the ratio of the
published to the simulated rate. No film is drawn.
"""

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np

from chexreason.phantom import HOSPITALS, Hospital
from chexreason.phantom.case import lesion_of
from chexreason.phantom.conventions import record
from chexreason.phantom.hospitals import sample_findings


def simulate(place: Hospital, cases: int, seed: int) -> tuple[Counter[str], Counter[str], int]:
    """Counts of positive and of uncertain labels, and of studies without any entry."""
    positive: Counter[str] = Counter()
    uncertain: Counter[str] = Counter()
    blank = 0
    rng = np.random.default_rng(seed)
    for index in range(cases):
        lesions = [lesion_of(seed, index, name) for name in sample_findings(place, rng)]
        labels = record(lesions, place, rng)
        positive.update(name for name, value in labels.items() if value == 1.0)
        uncertain.update(name for name, value in labels.items() if value == -1.0)
        blank += not labels
    return positive, uncertain, blank


def fitted(place: Hospital, cases: int, rounds: int, seed: int) -> Hospital:
    """The hospital with `drawn` rates that bring its recorded labels near the published ones."""
    for _ in range(rounds):
        positive, _, _ = simulate(place, cases, seed)
        rates = {}
        for name, rate in place.rates.items():
            if rate.recorded is None or name not in positive:
                rates[name] = rate
                continue
            excess = positive[name] / cases - rate.recorded
            rates[name] = replace(rate, drawn=float(np.clip(rate.drawn - excess, rate.drawn / 2, rate.drawn * 2)))
        place = replace(place, rates=rates)
    return place


def main() -> None:
    """Print a table for each hospital."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fit", action="store_true", help="also fit the drawn rates (hospitals A and B)")
    parser.add_argument("--cases", type=int, default=4000)
    arguments = parser.parse_args()
    for place in HOSPITALS.values():
        if arguments.fit and place.convention != "text-mined":
            place = fitted(place, arguments.cases, 5, seed=1)
        positive, uncertain, blank = simulate(place, arguments.cases, seed=2)
        n = arguments.cases
        print(f"\n{place.title}\n{'':28}drawn  recorded  published  uncertain  published")
        for name, rate in place.rates.items():
            published = "" if rate.recorded is None else f"{rate.recorded:.3f}"
            counted = (
                f"{positive[name] / n:.3f}      {published:5}      {uncertain[name] / n:.3f}      {rate.uncertain:.3f}"
            )
            print(f"{name:28}{rate.drawn:.3f}  {counted}")
        print(f"{'No Finding':28}       {positive['No Finding'] / n:.3f}      {place.no_finding:.3f}")
        print(f"{'no entry at all':28}       {blank / n:.3f}")


if __name__ == "__main__":
    main()
