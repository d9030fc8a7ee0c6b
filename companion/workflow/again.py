"""Whether the code as it is now still computes the results that are kept.

Training everything again takes hours. So a few arms that between them pass through all the code (`arms.AGAIN`) are
trained and evaluated anew, from nothing, in a folder of their own, and every file that they leave is compared with the
one that is kept. `run.json` is not: it says when, by what code and how long.

Another processor adds in another order, and a run of hundreds of steps then ends differently with any code. Where
that is so, the arms are first run by the code of the record on the same machine: check its revision out, run `again`
there, and copy what it leaves in `.cache/experiment/again` here. The new code is then compared with that.
"""

import datetime
import gzip
from collections.abc import Mapping
from pathlib import Path

from chexreason import runs
from chexreason.config import Profile, load_profile
from chexreason.errors import UserError
from chexreason.files import digest_of
from companion.experiment import arms, train
from companion.workflow import provenance


def run_again(profile: Profile) -> None:
    """Run the arms again and note in the record that they are the same; what is finished is not repeated.

    Raises UserError if a file differs or is not among the results that are kept.
    """
    recorded = provenance.experiment_recorded(profile.results)["made_by"]
    place, before = _place(profile, provenance.experiment_made_by()), _place(profile, recorded)
    anew = load_profile(profile.name, seed=profile.seed, results=place / "results", cache=place)
    for name in arms.AGAIN:
        train.run_arm(name, profile.seed, anew)
    here = before != place and before.is_dir()
    kept, seed = before / "results" / profile.name if here else profile.results, f"seed{profile.seed}"
    same = compare(anew.results / seed, kept / seed)
    seen = {"arms": list(arms.AGAIN), "seed": profile.seed, "files": same, "date": datetime.date.today().isoformat()}
    against = "those that the recorded code leaves on the same machine" if here else "those kept"
    provenance.write_experiment_record(profile.results, again={**seen, "against": against, **runs.git_state()})
    print(f"{len(arms.AGAIN)} arms run again at seed {profile.seed}: all {same} files are {against}")


def _place(profile: Profile, code: Mapping[str, str]) -> Path:
    """Where the arms that this code runs again lie."""
    return profile.cache / "again" / digest_of(code)[:12]


def compare(anew: Path, kept: Path) -> int:
    """How many files of `anew` are the same in `kept`, `run.json` aside. Raises UserError if one is not."""
    names = [path.relative_to(anew) for path in sorted(anew.glob("*/*")) if path.name != "run.json"]
    other = [str(name) for name in names if _bytes(anew / name) != _bytes(kept / name)]
    if other:
        raise UserError(
            f"the files that are kept of {kept.name}", f"others: {', '.join(other[:2])}",
            "undo what changed the numbers, or see companion/workflow/again.py if this is another processor",
        )  # fmt: skip
    return len(names)


def _bytes(path: Path) -> bytes | None:
    """What a file holds, unpacked; None if it is not there."""
    held = path.read_bytes() if path.is_file() else None
    return gzip.decompress(held) if held is not None and path.suffix == ".gz" else held
