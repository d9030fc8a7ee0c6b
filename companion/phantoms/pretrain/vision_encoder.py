"""First stage of pre-training: the vision encoder learns to see, cell by cell.

A linear head on the image tokens says which concept each token's cell shows, and a second one on their mean and
maximum says which concepts the whole picture shows. Both heads are thrown away afterwards; the encoder and its
projector stay, and the second stage leaves them as they are. The patch embedding starts from the principal components
of the pictures' own patches, which saves an encoder this small most of the time that it would spend on learning to
see edges.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from companion.phantoms.pretrain import PATCH_PX

HELD_OUT = 500
SAVE_EVERY = 50
BATCH = 48


def pixels(processor: ProcessorMixin, images: np.ndarray) -> dict[str, torch.Tensor]:
    """The processor's image tensors for images (B, px, px) uint8."""
    rgb = list(np.repeat(images[:, None], 3, axis=1))
    return dict(processor.image_processor(images=rgb, return_tensors="pt", input_data_format="channels_first"))


def features(model: PreTrainedModel, images: dict[str, torch.Tensor]) -> torch.Tensor:
    """Image tokens as the language model sees them, (B, cells, hidden)."""
    wanted = {name: images[name] for name in ("pixel_values", "image_grid_thw") if name in images}
    tokens = model.model.get_image_features(**wanted, return_dict=True).pooler_output
    return torch.stack(list(tokens)) if isinstance(tokens, tuple | list) else tokens


def fit(
    parts: Mapping[str, nn.Module], weights: Sequence[nn.Parameter], loss: Callable[[int, np.random.Generator],
    torch.Tensor], *, steps: int, seed: int, keep: Path, learning_rate: float, label: str,
    betas: tuple[float, float] = (0.9, 0.999),
) -> float:  # fmt: skip
    """AdamW with a warm-up of 50 steps and a cosine to 2 %; returns the mean loss of the last 50 steps (NaN if none).

    ``loss(step, rng)`` draws a step's batch from numbers of its own. Resumes from `keep` if that file is there, which
    holds the state of all `parts`.
    """
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.05, betas=betas)
    stateful = {**parts, "optimizer": optimizer}
    begin = 0
    if keep.is_file():
        state = torch.load(keep, weights_only=True)
        for name, part in stateful.items():
            part.load_state_dict(state[name])
        begin = int(state["step"])
    recent: list[float] = []
    for step in tqdm(range(begin, steps), desc=label, unit="step", initial=begin, total=steps, mininterval=10):
        for group in optimizer.param_groups:
            warm, cosine = min(1, (step + 1) / 50), math.cos(math.pi / 2 * step / steps) ** 2
            group["lr"] = learning_rate * warm * (0.02 + 0.98 * cosine)
        value = loss(step, np.random.default_rng([seed, step]))
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        recent = [*recent[-49:], value.item()]
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            keep.parent.mkdir(parents=True, exist_ok=True)
            partial = keep.with_suffix(".partial")
            torch.save({"step": step + 1, **{name: part.state_dict() for name, part in stateful.items()}}, partial)
            partial.replace(keep)
            tqdm.write(f"{label}: step {step + 1}, mean loss {np.mean(recent):.3f}")
    return float(np.mean(recent)) if recent else float("nan")


class Heads(nn.Module):
    """Concept logits per cell (B, cells, C) and per picture (B, C)."""

    def __init__(self, hidden: int, concepts: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.cell = nn.Linear(hidden, concepts)
        self.whole = nn.Linear(2 * hidden, concepts)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """tokens (B, cells, hidden) -> (cell logits, picture logits)."""
        tokens = self.norm(tokens)
        return self.cell(tokens), self.whole(torch.cat([tokens.mean(1), tokens.amax(1)], dim=-1))


def start_from_components(model: PreTrainedModel, images: np.ndarray, seed: int) -> None:
    """Set the patch embedding to the whitened principal components of patches of `images` (N, px, px)."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, images.shape[1] - PATCH_PX, 20_000) for _ in range(2))
    which = rng.integers(0, len(images), 20_000)
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH_PX, PATCH_PX), axis=(1, 2))
    patches = (windows[which, rows, columns].reshape(len(which), -1) / 255.0 - 0.5) / 0.5
    _, spread, components = np.linalg.svd(patches - patches.mean(0), full_matrices=False)
    embedding = next(m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    scale = np.sqrt(len(patches)) / np.maximum(spread, 0.05 * spread[0] / 10)
    filters = (components * scale[:, None])[: embedding.out_channels]
    planes = embedding.weight[0].numel() // PATCH_PX**2  # colours, and for Qwen2.5-VL two frames
    filters = torch.tensor(filters / planes * 0.5, dtype=torch.float32)  # spread over equal input planes
    with torch.no_grad():
        embedding.weight.zero_()
        embedding.weight[: len(filters)] = filters.reshape(
            len(filters), *[1] * (embedding.weight.ndim - 3), PATCH_PX, PATCH_PX
        ).expand_as(embedding.weight[: len(filters)])


def train(
    model: PreTrainedModel, processor: ProcessorMixin, images: np.ndarray, cells: np.ndarray, *,
    steps: int, seed: int, keep: Path, label: str = "vision encoder",
) -> np.ndarray:  # fmt: skip
    """Train vision encoder and projector on images (N, px, px) and cells (N, cells, C).

    Resumes from `keep` if that file is there. The last `HELD_OUT` pictures are never trained on; returns the area under
    the ROC curve of each concept on them (C,).
    """
    train_on = np.arange(len(images))[:-HELD_OUT]
    heads = Heads(int(model.config.get_text_config().hidden_size), cells.shape[-1])
    seeing = [p for name, p in model.named_parameters() if ".language_model." not in name and "lm_head" not in name]
    rate = cells[train_on].mean((0, 1)).clip(1e-3)
    balance = torch.tensor(np.sqrt((1 - rate) / rate), dtype=torch.float32)
    whole = np.any(cells, axis=1)

    def loss(step: int, rng: np.random.Generator) -> torch.Tensor:
        chosen = rng.choice(train_on, BATCH, replace=False)
        cell_logits, whole_logits = heads(features(model, pixels(processor, augment(images[chosen], rng))))
        by_cell = functional.binary_cross_entropy_with_logits(
            cell_logits, torch.tensor(cells[chosen], dtype=torch.float32), pos_weight=balance
        )
        seen = torch.tensor(whole[chosen], dtype=torch.float32)
        return by_cell + functional.binary_cross_entropy_with_logits(whole_logits, seen)

    fit(
        {"model": model, "heads": heads}, [*seeing, *heads.parameters()], loss,
        steps=steps, seed=seed, keep=keep, learning_rate=1.5e-3, label=label,
    )  # fmt: skip
    return aucs(model, processor, heads, images[-HELD_OUT:], whole[-HELD_OUT:])


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random gain and offset of each image (B, px, px); no flip, since the side is part of a finding."""
    gain, offset = rng.uniform(0.85, 1.15, (len(images), 1, 1)), rng.uniform(-15, 15, (len(images), 1, 1))
    return np.clip((images - 128.0) * gain + 128.0 + offset, 0, 255).astype(np.uint8)


@torch.inference_mode()
def aucs(
    model: PreTrainedModel, processor: ProcessorMixin, heads: Heads, images: np.ndarray, whole: np.ndarray
) -> np.ndarray:
    """Area under the ROC curve of each concept (C,), NaN where the pictures hold only one class."""
    parts = [heads(features(model, pixels(processor, images[i : i + 100])))[1] for i in range(0, len(images), 100)]
    logits = torch.cat(parts).numpy()
    both = [0 < whole[:, c].sum() < len(whole) for c in range(whole.shape[1])]
    return np.array([roc_auc_score(whole[:, c], logits[:, c]) if both[c] else np.nan for c in range(len(both))])
