"""How hard the phantoms are: a small network trained on hospital A's images, tested at A, B and C.

``python benchmarks/phantom_difficulty.py`` draws the images at 112 pixels, trains a plain convolutional
network of some 0.4 million weights on the visible truth of hospital A, and writes the area under the ROC
curve of each finding at each hospital, with a 95 % bootstrap interval over images, to
results/phantoms/difficulty.csv. The odds of rare findings are multiplied by `ENRICHMENT` in training and in
testing alike, so that some hundred images show each of them; all other rates are the hospital's own.

The contrasts in `companion/phantoms/` (airspace, chestwall, devices) were set by it, by hand and in a few rounds:
a finding above 0.97 at A was made fainter, one near chance stronger, until the mean at A lay between 0.80 and 0.92.
`tests/test_phantom_difficulty.py` reads the result and holds these bounds.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import nn

from chexreason import config
from companion.phantoms import HOSPITALS, draw, sample_case
from companion.phantoms.copula import DRAWN
from companion.phantoms.writers import in_parallel
from companion.workflow import provenance

SIZE = 112
ENRICHMENT = 6.0
TRAINED_AT = "A"
SEED = 20
#: The contrasts of `phantom/` were set on images of seed 21; these were looked at only afterwards.
TEST_SEED = 2026
RESULT = config.RESULTS / "phantoms" / "difficulty.csv"


def _drawn(index: int, hospital: str, seed: int) -> tuple[np.ndarray, list[bool]]:
    case = sample_case(seed, index, hospital, ENRICHMENT)
    return draw(case, SIZE), [name in case.truth for name in DRAWN]


def drawn_images(hospital: str, count: int, seed: int, workers: int) -> tuple[torch.Tensor, np.ndarray]:
    """Images, uint8 (count, 1, SIZE, SIZE), and their visible truth, bool (count, findings)."""
    drawn = in_parallel(_drawn, [(index, hospital, seed) for index in range(count)], workers)
    images, truth = zip(*drawn, strict=True)
    return torch.from_numpy(np.stack(images)[:, None]), np.array(truth)


def _block(inputs: int, outputs: int, stride: int, kernel: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class SmallNetwork(nn.Module):
    """Seven convolutions; mean and maximum over the image together, since some findings are small."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _block(1, 24, 2, 5), _block(24, 40, 2), _block(40, 40, 1), _block(40, 72, 2), _block(72, 72, 1),
            _block(72, 128, 2), _block(128, 128, 1),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(256, len(DRAWN)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (B, 1, SIZE, SIZE) -> logits (B, findings)."""
        x = self.body((images.float() - 128) / 64)
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))


def _jitter(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Shifts of up to 6 pixels and small changes of brightness and contrast; no mirror image, sides matter."""
    dy, dx = (int(v) for v in rng.integers(-6, 7, 2))
    moved = torch.roll(images, (dy, dx), (2, 3)).float()
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(images), 1, 1, 1)).astype(np.float32))
    offset = torch.from_numpy(rng.uniform(-15, 15, (len(images), 1, 1, 1)).astype(np.float32))
    return ((moved - 128) * gain + 128 + offset).clamp(0, 255)


def train(images: torch.Tensor, truth: np.ndarray, epochs: int, seed: int, batch: int = 64) -> SmallNetwork:
    """The network after `epochs` passes with a one-cycle learning rate."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = SmallNetwork().to(memory_format=torch.channels_last)
    targets = torch.from_numpy(truth.astype(np.float32))
    steps = len(images) // batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * steps)
    network.train()
    for epoch in range(epochs):
        total = 0.0
        for chosen in np.array_split(rng.permutation(len(images))[: steps * batch], steps):
            logits = network(_jitter(images[chosen], rng))
            loss = nn.functional.binary_cross_entropy_with_logits(logits, targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}", flush=True)
    return network.eval()


def areas(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of each column (Mann-Whitney); nan where a class is missing."""
    positives, negatives = truth.sum(0), (~truth).sum(0)
    ranks = np.where(truth, rankdata(values, axis=0), 0).sum(0)
    with np.errstate(invalid="ignore"):
        return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def table(hospital: str, values: np.ndarray, truth: np.ndarray, seed: int, resamples: int = 1000) -> pd.DataFrame:
    """One row a finding, and one for the mean over findings, with 95 % percentile intervals."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(len(truth), size=len(truth)) for _ in range(resamples)]
    repeats = np.array([areas(values[rows], truth[rows]) for rows in drawn])
    point = areas(values, truth)
    point, repeats = np.append(point, point.mean()), np.column_stack([repeats, repeats.mean(1)])
    low, high = np.nanquantile(repeats, [0.025, 0.975], axis=0)
    counts = [*truth.sum(0).tolist(), int(truth.any(1).sum())]
    columns = {"n": len(truth), "positives": counts, "auc": point, "low": low, "high": high}
    return pd.DataFrame({"hospital": hospital, "finding": [*DRAWN, "mean"], **columns})


def main() -> None:
    """Draw, train, test at each hospital, write and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--train", type=int, default=6000, help="images of hospital A to learn from")
    parser.add_argument("--test", type=int, default=1200, help="images of each hospital to be tested on")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw images")
    args = parser.parse_args()
    network = train(*drawn_images(TRAINED_AT, args.train, SEED, args.workers), args.epochs, SEED)
    parts = []
    for hospital in HOSPITALS:
        images, truth = drawn_images(hospital, args.test, TEST_SEED, args.workers)
        with torch.no_grad():
            logits = torch.cat([network(part) for part in images.split(250)]).numpy()
        parts.append(table(hospital, logits, truth, SEED))
    result = pd.concat(parts)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(args.out, index=False, float_format="%.4f")
    provenance.write_measured(args.out)
    print(result.pivot(index="finding", columns="hospital", values="auc").round(3).to_string())


if __name__ == "__main__":
    main()
