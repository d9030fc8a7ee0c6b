"""How long the MIMIC-CXR-JPG loader takes at the data set's real size: python benchmarks/loaders.py

Writes made-up tables with as many films and studies as the real ones have, in a temporary folder,
and loads them. The films themselves are not needed: a loader does not look at them.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason import data
from chexreason.labels import FINDINGS

FILMS, STUDIES, PATIENTS = 377_110, 227_835, 65_379


def write_tables(root: Path, rng: np.random.Generator) -> None:
    """Tables of the real size with random views and labels."""
    (root / "files").mkdir()
    subject_of = np.sort(rng.choice(np.arange(10_000_000, 10_000_000 + PATIENTS), STUDIES))
    study_of = 50_000_000 + rng.permutation(9_000_000)[:STUDIES]
    of_film = np.concatenate([np.arange(STUDIES), rng.integers(0, STUDIES, FILMS - STUDIES)])
    films = pd.DataFrame(
        {
            "dicom_id": ["-".join(f"{part:08x}" for part in parts) for parts in rng.integers(0, 2**32, (FILMS, 5))],
            "study_id": study_of[of_film],
            "subject_id": subject_of[of_film],
            "split": np.where(subject_of[of_film] % 50, "train", "test"),
        }
    )
    films.to_csv(root / "mimic-cxr-2.0.0-split.csv.gz", index=False)
    views = rng.choice(["PA", "AP", "LATERAL", "LL", ""], FILMS, p=[0.26, 0.39, 0.22, 0.09, 0.04])
    films.drop(columns="split").assign(ViewPosition=views, Rows=3056, Columns=2544).to_csv(
        root / "mimic-cxr-2.0.0-metadata.csv.gz", index=False
    )
    cells = rng.choice([1.0, 0.0, -1.0, np.nan], (STUDIES, len(FINDINGS)), p=[0.13, 0.06, 0.02, 0.79])
    labels = pd.DataFrame(cells, columns=sorted(FINDINGS)).assign(subject_id=subject_of, study_id=study_of)
    labels.to_csv(root / "mimic-cxr-2.0.0-chexpert.csv.gz", index=False)


def main() -> None:
    """Print the seconds, the studies and the peak memory for each split and for all."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), np.random.default_rng(0))
        for split in (None, "train", "test"):
            start = time.perf_counter()
            n = len(data.load("mimic", Path(folder), split))
            seconds = time.perf_counter() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{split or 'all'}: {n} studies in {seconds:.1f} s, peak memory so far {peak} MB")


if __name__ == "__main__":
    main()
