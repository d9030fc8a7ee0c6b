"""How often each finding occurs in a cohort, and how much of that is the policy for uncertain labels.

A report that says "possible pneumonia" is labelled uncertain. Read as no, as yes or not at all, it gives three
prevalences, and for some findings they are far apart. Which the paper took is not in the text we have. So the three
stand beside each other, from the tables alone, before anything is trained.
"""

import textwrap

from chexreason import cohorts, data
from chexreason.cohorts import COHORTS, Chosen
from chexreason.config import Profile
from chexreason.labels import UNCERTAINTY_POLICIES, decide, positives

#: Columns of a plain table: as many as the narrowest usual terminal has.
WIDTH = 80


def prevalence(chosen: Chosen) -> dict[str, dict[str, int]]:
    """policy -> finding -> positive studies, for every uncertainty policy; and under "uncertain", uncertain ones.

    Under `ignore` a finding's share is of the studies that are not uncertain about it.
    """
    names = chosen.studies[0].label_set if chosen.studies else ()
    counts: dict[str, dict[str, int]] = {}
    for policy in UNCERTAINTY_POLICIES:
        decided = [decide(study.labels, policy, names) for study in chosen.studies]
        counts[policy] = {name: sum(one[name] is True for one in decided) for name in names}
        counts["uncertain"] = {name: sum(one[name] is None for one in decided) for name in names}  # ignore is last
    return counts


def usable(profile: Profile, name: str) -> dict[str, int]:
    """policy -> studies of a cohort's part that could be trained on, having a positive label under it."""
    source, split = COHORTS[name]
    studies = data.load(source, profile.data[source].root, split).studies
    return {policy: sum(bool(positives(s.labels, policy)) for s in studies) for policy in UNCERTAINTY_POLICIES}


def draw_card(profile: Profile, name: str, width: int = WIDTH) -> str:
    """A cohort in plain text: its facts, and how often each finding occurs under each policy. Opens no film."""
    chosen = cohorts.drawn(profile, name)
    n, counts = len(chosen.studies), prevalence(chosen)
    title = f"{data.SOURCES[chosen.dataset].title}, {COHORTS[name][1]} split, seed {profile.seed}"
    facts = [cohorts.rule(profile, name), *(f"left out: {count:,} {what}" for what, count in chosen.left_out.items())]
    if name in ("sft", "rl"):
        could = ", ".join(f"{k:,} under {policy}" for policy, k in usable(profile, name).items())
        facts.append(f"studies to draw from: {could}; this draw is under {profile.decoding.uncertain}")
    lines = [f"{name}: {n:,} studies of {title}"]
    lines += [textwrap.fill(fact, width, initial_indent="  ", subsequent_indent="    ") for fact in facts]
    lines.append(f"  {'positive studies':<26} {'uncertain':>9}" + "".join(f" {p:>13}" for p in UNCERTAINTY_POLICIES))
    for finding, unsure in counts["uncertain"].items():
        of = {policy: n - unsure if policy == "ignore" else n for policy in UNCERTAINTY_POLICIES}
        cells = ((counts[policy][finding], of[policy]) for policy in UNCERTAINTY_POLICIES)
        shares = "".join(f" {positive:>6,} {positive / max(1, k):>6.1%}" for positive, k in cells)
        lines.append(f"  {finding:<26} {unsure:>9,}{shares}")
    return "\n".join(lines)
