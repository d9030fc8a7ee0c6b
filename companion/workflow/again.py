"""Whether the code as it is now still computes the results that are kept.

Training everything again takes hours. So a few arms that between them pass through all the code (`arms.AGAIN`) are
trained and asked anew, from nothing, in a folder of their own, and every file that they leave is held against the
one that is kept. `run.json` is not: it says when, by what code and how long.

Another processor adds in another order, and a run of hundreds of steps then comes out differently with any code. Where
that is so, the arms are first run by the code of the record on the same machine: check its revision out, run `again`
there, and copy what it leaves in `.cache/experiment/again` here. The new code is then held against that.
"""

import datetime
import gzip
from pathlib import Path

from chexreason import runs
from chexreason.config import Profile, load_profile
from chexreason.errors import UserError
from chexreason.files import digest_of
from companion.experiment import arms, train
from companion.workflow import provenance


def run_again(profile: Profile) -> None:
    """Run the arms again and note in the record that they came out the same; what is finished is not repeated.

    Raises UserError if a file differs or is not among the results that are kept.
    """
    seed, code = profile.seed, provenance.experiment_made_by()
    place, before = _place(profile, code), _place(profile, provenance.experiment_recorded(profile.results))
    anew = load_profile(profile.name, seed=seed, results=place / "results", cache=place)
    for name in arms.AGAIN:
        train.run_arm(name, seed, anew)
    here = before != place and before.is_dir()
    kept = before / "results" / profile.name if here else profile.results
    same = compare(anew.results / f"seed{seed}", kept / f"seed{seed}")
    seen = {"arms": list(arms.AGAIN), "seed": seed, "files": same, "date": datetime.date.today().isoformat()}
    against = "those that the recorded code leaves on the same machine" if here else "those kept"
    provenance.write_experiment_record(profile.results, again={**seen, "against": against, **runs.git_state()})
    print(f"{len(arms.AGAIN)} arms run again at seed {seed}: all {same} files are {against}")


def _place(profile: Profile, code: dict[str, str]) -> Path:
    """Where the arms that this code runs again lie."""
    return profile.cache / "again" / digest_of(code)[:12]


def compare(anew: Path, kept: Path) -> int:
    """How many files of `anew` are the same in `kept`, `run.json` aside. Raises UserError if one is not."""
    names = [path.relative_to(anew) for path in sorted(anew.glob("*/*")) if path.name != "run.json"]
    other = [name for name in names if not _same(anew / name, kept / name)]
    if other:
        raise UserError(
            f"the files of {kept}", f"others in {anew}: {', '.join(map(str, other[:3]))}",
            "undo what changed the numbers; or, if this is another processor, run the code of the record here first "
            "(companion/experiment/again.py says how); or run `make experiments` anew",
        )  # fmt: skip
    return len(names)


def _same(one: Path, other: Path) -> bool:
    if not other.is_file():
        return False
    first, second = one.read_bytes(), other.read_bytes()
    return gzip.decompress(first) == gzip.decompress(second) if one.suffix == ".gz" else first == second
