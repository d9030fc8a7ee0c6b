"""The cohorts as manifests to be shared, and checked against one's own copy of the data.

A manifest says of a cohort from which part of which data set it was drawn, by which rule and seed, how often each
finding occurs, and one digest over its studies and their labels in order. Who holds the data set can draw the cohort
again and see whether it is the same one. Of credentialed data the digest is an HMAC: without the key, which only those
who hold the data should have, nobody can try studies until the digest fits.

How often a finding occurs is said under each policy for uncertain labels. "Possible pneumonia" read as no, as yes or
not at all gives three prevalences, for some findings far apart; which the paper took is not in the text we have.
"""

import hmac
import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from chexreason import cohorts, data
from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.study import masked
from chexreason.errors import UserError
from chexreason.files import write_atomically
from chexreason.labels import UNCERTAINTY_POLICIES, decide, positives
from companion.replication import contamination, credentialed, keep_outside

#: The environment variable with the key for manifests of credentialed data, and how many bytes it has at least.
KEY, SHORTEST = "CHEXREASON_MANIFEST_KEY", 16
#: What has to be the same in a manifest and in the cohort that is drawn again; `studies` is the digest.
FACTS = ("source", "split", "rule", "seed", "policy", "n", "key", "studies")
#: Columns of a plain table: as many as the narrowest usual terminal has.
WIDTH = 80


def manifest(profile: Profile, chosen: Cohort) -> dict[str, Any]:
    """A chosen cohort's manifest as plain data. Raises UserError where it takes a key and there is none."""
    key = key_for(profile, chosen.dataset)
    return {
        "cohort": chosen.name,
        "profile": profile.name,
        "source": chosen.dataset,
        "split": cohorts.place_of(chosen.name)[1],
        "rule": rule(profile, chosen.name),
        "seed": profile.seed,
        "policy": profile.decoding.uncertain,
        "n": len(chosen.studies),
        "patients": len({study.patient_id for study in chosen.studies}),
        "unreadable": len(chosen.unreadable),
        "left_out": dict(chosen.left_out),
        "prevalence": prevalence(chosen),
        "key": _keyed(key, KEY),  # by which another key shows
        "studies": _keyed(key, chosen.digest) or chosen.digest,
    }


def key_for(profile: Profile, source: str) -> bytes:
    """The key for a data set's manifests, from the environment; empty for one that is public, or drawn."""
    if not credentialed(profile, source):
        return b""
    key = os.environ.get(KEY, "").encode()
    if len(key) < SHORTEST:
        wanted = f"a key of at least {SHORTEST} bytes in {KEY} for a manifest of {data.SOURCES[source].title}"
        raise UserError(wanted, f"one of {len(key)}" if key else "none", "export one that holders of the data share")
    return key


def _keyed(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex() if key else ""


def prevalence(chosen: Cohort) -> dict[str, dict[str, int]]:
    """policy -> finding -> positive studies, for every uncertainty policy; and under "uncertain", uncertain ones."""
    names = chosen.studies[0].label_set if chosen.studies else ()
    counts: dict[str, dict[str, int]] = {}
    for policy in UNCERTAINTY_POLICIES:
        decided = [decide(study.labels, policy, names) for study in chosen.studies]
        counts[policy] = {name: sum(one[name] is True for one in decided) for name in names}
        counts["uncertain"] = {name: sum(one[name] is None for one in decided) for name in names}  # ignore is last
    return counts


def write(profile: Profile, name: str, folder: Path) -> Path:
    """Write a cohort's manifest, and the list of its unreadable images into the cache: a path names a patient."""
    source, target, lists = cohorts.place_of(name)[0], folder / f"{name}.json", profile.cache / "unreadable"
    for place in (folder, lists):
        keep_outside(profile, source, place)
    key_for(profile, source)  # before any image is opened
    chosen = cohorts.choose(profile, name)
    write_atomically(target, (json.dumps(manifest(profile, chosen), indent=1, ensure_ascii=False) + "\n").encode())
    if chosen.unreadable:
        write_atomically(lists / f"{name}.txt", "".join(f"{path}\n" for path in chosen.unreadable).encode())
    return target


def read(path: Path) -> dict[str, Any]:
    """A manifest from its file. Raises UserError for a file that is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(_fit(name, found.get(name)) for name in ("cohort", *FACTS)):
        got = "another kind of file" if path.is_file() else "no such file"
        raise UserError(f"a manifest at {masked(path)}", got, "write one first: chexreason cohort write")
    cohorts.place_of(found["cohort"])
    return found


def _fit(name: str, fact: object) -> bool:
    """Whether a fact is of its type and may be shown; the longest rule has some 200 characters."""
    return type(fact) is (int if name in ("seed", "n") else str) and len(str(fact)) < 300 and str(fact).isprintable()


def differences(profile: Profile, there: Mapping[str, Any]) -> list[str]:
    """What differs between a manifest and its cohort as the profile's data give it; nothing if it is verified."""
    here = manifest(profile, cohorts.choose(profile, str(there["cohort"])))
    differ = [name for name in FACTS if here[name] != there[name]]
    if differ == ["studies"]:
        return ["other studies, another order or other labels"]
    return [f"{name}: {there[name]} there, {here[name]} here" for name in differ if name != "studies"]


def draw_card(profile: Profile, name: str) -> str:
    """A cohort in plain text: its facts, and how often each finding occurs under each policy. Opens no image."""
    chosen, (source, split) = cohorts.drawn(profile, name), cohorts.place_of(name)
    n, counts = len(chosen.studies), pd.DataFrame(prevalence(chosen))
    facts = [rule(profile, name), *(f"left out: {count:,} {what}" for what, count in chosen.left_out.items())]
    if name in ("sft", "rl"):
        studies = data.load(source, profile.data[source].root, split).studies
        could = (f"{sum(bool(positives(s.labels, p)) for s in studies):,} under {p}" for p in UNCERTAINTY_POLICIES)
        facts.append(f"studies to draw from: {', '.join(could)}; this draw is under {profile.decoding.uncertain}")
    lines = [f"{name}: {n:,} studies of {data.SOURCES[source].title}, {split} split, seed {profile.seed}"]
    lines += [textwrap.fill(fact, WIDTH, initial_indent="  ", subsequent_indent="    ") for fact in facts]
    lines.append("  positive studies under each policy, and uncertain ones:")
    table = counts[["uncertain"]].map("{:,}".format)
    for policy in UNCERTAINTY_POLICIES:
        share = counts[policy] / (n - counts["uncertain"] if policy == "ignore" else n)
        table[policy] = counts[policy].map("{:,}".format) + share.map(" {:6.1%}".format)
    return "\n".join([*lines, textwrap.indent(table.to_string(), "  ")])


def files(profile: Profile, names: Sequence[str], place: Path | None) -> list[Path]:
    """The manifests of cohorts: the file `place`, or those in the folder, that of the cache without one."""
    folder = place or profile.cache / "cohorts"
    return [folder] if folder.is_file() else [folder / f"{name}.json" for name in names]


def run(profile: Profile, what: str, names: Sequence[str], place: Path | None) -> int:
    """Show, write or verify cohorts and say how; returns the exit status: 1 where something differs or overlaps."""
    if what == "show":
        print("\n\n".join(draw_card(profile, name) for name in names))
        return 0
    wrong = False
    for path in files(profile, names, place):
        if what == "write":
            print(f"written: {os.path.relpath(write(profile, path.stem, place or path.parent))}")
            continue
        found = read(path)
        differ = "; ".join(differences(profile, found))
        wrong |= bool(differ)
        same = f"verified, {found['n']:,} studies are the same"
        print(f"{found['cohort']}: {f'differs; {differ}' if differ else same}")
    for line in contamination.overlaps(profile):
        wrong |= bool(line.shared)
        print(line)
    return int(wrong)


def rule(profile: Profile, name: str) -> str:
    """How the profile draws a cohort, in words."""
    if getattr(profile.sizes, name, None) is None:
        return "every study of the split"
    share = "by the rarest positive finding of a study, each stratum with its share (largest remainder)"
    how = share if profile.sizes.stratified else "at random with equal chance"
    if name in ("sft", "rl"):
        return f"one study a patient among those with a positive label, {how}; SFT first, then RL from the rest"
    return f"studies of the split, {how}"
