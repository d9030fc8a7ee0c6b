"""Reading images the second time, against tables and PIL each time: python benchmarks/prepared_images.py

Draws a tree in MIMIC-CXR-JPG's layout: 10,000 studies whose images have that data set's usual size, 2,544 x 3,056
pixels, as JPEGs of quality 95. A hundred drawings stand behind them, each under a hundred names, so that the disk holds
them; every name is read and decoded for itself. Ours has seen the tree once. The two sides take turns; stock decodes
one image in fifty, spread over the tree, and its time for images is multiplied. Writes results/benchmarks/films.csv.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from chexreason import config, data
from chexreason.data.image import open_image
from companion.phantoms import draw, sample_case
from companion.phantoms.writers import write_tree
from companion.speed.images import prepare
from companion.workflow import provenance

WIDTH, HEIGHT, DRAWINGS = 2544, 3056, 100
PIXELS = 896 * 896  # MedGemma's input
SHARE = 50


def make_tree(root: Path, studies: int) -> None:
    """Tables of a phantom tree of the smallest size, with large images in place of its own."""
    write_tree(root, "A", {"train": studies}, 0, 64)
    rng, images = np.random.default_rng(0), []
    for k in range(min(DRAWINGS, studies)):
        small = Image.fromarray(draw(sample_case(0, k, "A"), 512))
        grey = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = np.clip(grey + rng.normal(0, 3, grey.shape), 0, 255).astype(np.uint8)
        images.append(root / f"drawing-{k}.jpg")
        Image.fromarray(noisy).save(images[-1], quality=95)
    for k, study in enumerate(data.load("mimic", root, "train").studies):
        study.image.unlink()
        os.link(images[k % len(images)], study.image)


def main() -> None:
    """Print and write the seconds of both sides for each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "mimic", Path(folder) / "ready"
        make_tree(root, args.studies)
        prepare(data.load("mimic", root, "train").studies, PIXELS, cache)
        for turn in range(args.rounds):
            start = time.perf_counter()
            studies = data.load("mimic", root, "train").studies
            tables = time.perf_counter() - start
            some = studies[turn::SHARE]
            for study in some:
                open_image(study.image)
            stock = tables + (time.perf_counter() - start - tables) * len(studies) / len(some)
            start = time.perf_counter()
            studies, _ = prepare(data.load("mimic", root, "train").studies, PIXELS, cache)
            for study in studies:
                open_image(study.image)
            ours = time.perf_counter() - start
            rows.append({"studies": len(studies), "round": turn, "stock_s": stock, "ours_s": ours,
                         "ratio": stock / ours})  # fmt: skip
        print(f"cache: {sum(path.stat().st_size for path in cache.rglob('*.pgm')) / 2**20:.0f} MB")
    table = pd.DataFrame(rows).assign(code=provenance.measured_code("films.csv"))
    table.to_csv(config.RESULTS / "benchmarks" / "films.csv", index=False, float_format="%.3f")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
