"""Grey levels and spatial frequencies of phantoms beside those of real images.

``python benchmarks/phantom_looks.py FOLDER`` reads the images of a folder (58 of NIH ChestX-ray14, which are not part
of the repository) and as many phantoms of each hospital, at 224 pixels, and writes results/phantoms/looks.csv: for each
quantile of the grey levels, and for the power in each octave of spatial frequency, the median image and the range of
the middle 80 per cent of images. Hospital C imitates this source; A and B are there to show that they differ from it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from chexreason import config
from companion.phantoms import HOSPITALS, draw, sample_case
from companion.workflow import provenance

SIZE = 224
SEED = 31
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
OCTAVES = (1, 2, 4, 8, 16, 32, 64)  # cycles across the image: each band ends where the next begins
RESULT = config.RESULTS / "phantoms" / "looks.csv"


def describe(image: np.ndarray) -> dict[tuple[str, float], float]:
    """Grey levels (0 to 255) at `QUANTILES`, and log10 of the mean power in each octave of an image (SIZE, SIZE)."""
    out = {("grey level", q): float(np.quantile(image, q)) for q in QUANTILES}
    window = np.hanning(SIZE)[:, None] * np.hanning(SIZE)
    power = np.abs(np.fft.fft2((image - image.mean()) / 255 * window)) ** 2
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE, 1 / SIZE), np.fft.fftfreq(SIZE, 1 / SIZE)))
    for start in OCTAVES:
        band = (cycles >= start) & (cycles < 2 * start)
        out["log10 power", float(start)] = float(np.log10(power[band].mean()))
    return out


def main() -> None:
    """Write and print the comparison."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="a folder of real images as PNG")
    paths = sorted(parser.parse_args().folder.glob("*.png"))
    if not paths:
        parser.error("expected PNG images in the folder, got none")
    images = {
        "real": [Image.open(path).convert("L").resize((SIZE, SIZE), Image.Resampling.BOX) for path in paths],
        **{name: [draw(sample_case(SEED, k, name), SIZE) for k in range(len(paths))] for name in HOSPITALS},
    }
    rows = []
    for source, pictures in images.items():
        frame = pd.DataFrame([describe(np.asarray(picture, dtype=float)) for picture in pictures])
        for (quantity, at), values in frame.items():
            low, median, high = values.quantile([0.1, 0.5, 0.9])
            rows.append((source, len(pictures), quantity, at, median, low, high))
    result = pd.DataFrame(rows, columns=["source", "images", "quantity", "at", "median", "low", "high"])
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(RESULT, index=False, float_format="%.3f")
    provenance.write_measured(RESULT)
    print(result.pivot(index=["quantity", "at"], columns="source", values="median").to_string())


if __name__ == "__main__":
    main()
