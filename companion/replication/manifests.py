"""The cohorts as manifests of salted hashes, to be shared, and checked against one's own copy.

A manifest says of a cohort from which part of which data set it was drawn, by which rule and seed, how
often each finding occurs, and which studies it holds: for each, SHA-256 over a random salt and the
study's key. Who holds the data set can draw the cohort again, or look each study up, and see whether
it is the same one. That is the purpose.

What the salt does and does not do. It keeps two manifests from being laid beside each other, and
tables of ready-made hashes from being of use. It does **not** hide a study from somebody who holds the
list of studies: they hash each with the salt, which stands in the manifest. Nor does it withstand
trying: the numbers have few digits, so a machine that hashes fast enough goes through all of them.
Where even the membership must not be known, set CHEXREASON_MANIFEST_KEY to a long secret. The hashes are
then HMAC-SHA-256 under that key, and without it nobody can test a study, nor verify the manifest.

Labels are covered by one digest over the whole cohort. A hash of a single study's labels would give
them away: they are fourteen cells of four values.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexreason import cohorts
from chexreason.cohorts import COHORTS, Chosen
from chexreason.config import Profile
from chexreason.errors import UserError, unknown
from chexreason.files import write_atomically
from companion.replication import contamination
from companion.replication.prevalence import draw_card, prevalence

#: Raised when a hash, or what it is over, becomes another one.
FORMAT = 1
#: Where the holder of a secret key keeps it.
KEY = "CHEXREASON_MANIFEST_KEY"
#: A key shorter than this can be guessed.
SHORTEST_KEY = 24

#: What a manifest says beside the studies; where one differs, another cohort was asked for.
FACTS = ("source", "split", "rule", "seed", "policy", "n")


@dataclass(frozen=True)
class Verdict:
    """A manifest against one's own copy: studies in both, in the manifest only, here only; and what else differs."""

    cohort: str
    same: int
    missing: int
    others: int
    differs: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the same studies were drawn in the same order with the same labels."""
        return not (self.missing or self.others or self.differs)

    def __str__(self) -> str:
        if self.holds:
            return f"{self.cohort}: verified, {self.same:,} studies are the same"
        counts = f"{self.same:,} studies in both, {self.missing:,} in the manifest only, {self.others:,} here only"
        return "; ".join([f"{self.cohort}: differs; {counts}", *self.differs])


def of(profile: Profile, chosen: Chosen, salt: str, key: str = "") -> dict[str, Any]:
    """The manifest of a chosen cohort as plain data; hashes are in the cohort's order.

    `salt` is in hexadecimal; `key` is a secret, or empty.
    """
    return {
        "format": FORMAT,
        "cohort": chosen.name,
        "profile": profile.name,
        "source": chosen.dataset,
        "split": COHORTS[chosen.name][1],
        "rule": cohorts.rule(profile, chosen.name),
        "seed": profile.seed,
        "policy": profile.decoding.uncertain,
        "n": len(chosen.studies),
        "patients": len({study.patient_id for study in chosen.studies}),
        "unreadable": len(chosen.unreadable),
        "left_out": dict(chosen.left_out),
        "prevalence": prevalence(chosen),
        "salt": salt,
        "keyed": bool(key),
        "key_check": _hash("the right key", salt, key) if key else "",
        "labels": _hash(json.dumps([sorted(study.labels.items()) for study in chosen.studies]), salt, key),
        "studies": [_hash(study.key, salt, key) for study in chosen.studies],
    }


def _hash(text: str, salt: str, key: str) -> str:
    salted = bytes.fromhex(salt) + text.encode()
    return hmac.digest(key.encode(), salted, "sha256").hex() if key else hashlib.sha256(salted).hexdigest()


def place(folder: Path, name: str) -> Path:
    """Where a cohort's manifest lies."""
    return folder / f"{name}.json"


def write(profile: Profile, names: Sequence[str], folder: Path, key: str) -> list[Path]:
    """Write the manifests of cohorts, and the lists of their unreadable films into the cache; returns the former.

    A manifest that is there already keeps its salt, so that an unchanged cohort leaves the file as it is.
    Raises UserError for an unknown cohort and a key that is too short.
    """
    _check_key(key)
    written = []
    for name in names:
        chosen, target = cohorts.choose(profile, name), place(folder, name)
        before = read(target) if target.is_file() else None
        salt = before["salt"] if before and before["keyed"] == bool(key) else secrets.token_hex(16)
        text = json.dumps(of(profile, chosen, salt, key), indent=1, ensure_ascii=False) + "\n"
        write_atomically(target, text.encode())
        if chosen.unreadable:
            lines = "".join(f"{path}\n" for path in chosen.unreadable)
            write_atomically(unreadable_list(profile, name), lines.encode())
        written.append(target)
    return written


def unreadable_list(profile: Profile, name: str) -> Path:
    """Where the films of a cohort that could not be read are named: in the cache, since a path names a patient."""
    return profile.cache / "unreadable" / f"{name}.txt"


def read(path: Path) -> dict[str, Any]:
    """A manifest from its file. Raises UserError for a file that is none, or of another format."""
    if not path.is_file():
        raise UserError(f"a manifest at {path}", "no such file", "write one first: chexreason cohort write")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    wanted = {"format", "cohort", "salt", "keyed", "key_check", "labels", "studies", *FACTS}
    if not isinstance(found, dict) or not wanted <= set(found):
        raise UserError(f"a manifest at {path}", "another kind of file", "give the file that `cohort write` wrote")
    if found["format"] != FORMAT:
        raise UserError(f"a manifest of format {FORMAT}", f"format {found['format']}", "use the version that wrote it")
    if found["cohort"] not in COHORTS:
        raise unknown("cohort", found["cohort"], COHORTS, "chexreason/cohorts.py")
    return found


def verify(profile: Profile, manifest: Mapping[str, Any], key: str = "") -> Verdict:
    """Draw a manifest's cohort again from the profile's data and compare.

    Raises UserError where the manifest was made with a key and `key` is not that one.
    """
    salt, key = str(manifest["salt"]), key if manifest["keyed"] else ""
    if manifest["keyed"] and _hash("the right key", salt, key) != manifest["key_check"]:
        raise UserError(
            "the key that the manifest was made with", "another one" if key else "none", f"export {KEY}=the key"
        )
    here = of(profile, cohorts.choose(profile, str(manifest["cohort"])), salt, key)
    theirs, ours = manifest["studies"], here["studies"]
    differs = [f"{name}: {manifest[name]} there, {here[name]} here" for name in FACTS if manifest[name] != here[name]]
    if set(theirs) == set(ours):
        if theirs != ours:
            differs.append("the same studies in another order")
        elif manifest["labels"] != here["labels"]:
            differs.append("the same studies with other labels")
    same = len(set(theirs) & set(ours))
    return Verdict(manifest["cohort"], same, len(theirs) - same, len(ours) - same, tuple(differs))


def _check_key(key: str) -> None:
    if key and len(key) < SHORTEST_KEY:
        raise UserError(
            f"a key of {SHORTEST_KEY} characters or more", f"one of {len(key)}",
            f"export {KEY}=$(python -c 'import secrets; print(secrets.token_hex(32))') and keep it",
        )  # fmt: skip


def act(profile: Profile, what: str, names: Sequence[str], place_of: Path | None, key: str) -> int:
    """Show, write or verify cohorts and say how; returns the exit status: 1 where something differs or overlaps."""
    folder, wrong = place_of or profile.results / "cohorts", False
    for name in names:
        if name not in COHORTS:
            raise unknown("cohort", name, COHORTS, "chexreason/cohorts.py")
    if what == "show":
        print("\n\n".join(draw_card(profile, name) for name in names))
        return 0
    if what == "write":
        for path in write(profile, names, folder, key):
            print(f"written: {os.path.relpath(path)}")
    else:
        for path in [folder] if folder.is_file() else [place(folder, name) for name in names]:
            verdict = verify(profile, read(path), key)
            wrong |= not verdict.holds
            print(verdict)
    for line in contamination.overlaps(profile):
        wrong |= line.crossed
        print(line)
    return int(wrong)
