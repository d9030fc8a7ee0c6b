"""First stage of pre-training: the vision tower learns to see, cell by cell.

A linear head on the image tokens says which concept each token's cell shows, and a second one on
their mean and maximum says which concepts the whole picture shows. Both heads are thrown away
afterwards; the tower and its projector stay, and the second stage leaves them as they are. The patch
embedding starts from the principal components of the pictures' own patches, which saves a tower
this small most of the time that it would spend on learning to see edges.
"""

import math
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.processing_utils import ProcessorMixin

from chexreason.labels import FINDINGS, NO_FINDING
from companion.phantoms.miniature import PATCH_PX

#: The concepts of a phantom film.
CONCEPTS: tuple[str, ...] = tuple(name for name in FINDINGS if name != NO_FINDING)
HELD_OUT = 500
SAVE_EVERY = 50
BATCH = 48


def pixels(processor: ProcessorMixin, films: np.ndarray) -> dict[str, torch.Tensor]:
    """The processor's image tensors for films (B, px, px) uint8."""
    rgb = list(np.repeat(films[:, None], 3, axis=1))
    return dict(processor.image_processor(images=rgb, return_tensors="pt", input_data_format="channels_first"))


def features(model: PreTrainedModel, images: dict[str, torch.Tensor]) -> torch.Tensor:
    """Image tokens as the language model sees them, (B, cells, hidden)."""
    wanted = {name: images[name] for name in ("pixel_values", "image_grid_thw") if name in images}
    tokens = model.model.get_image_features(**wanted, return_dict=True).pooler_output
    return torch.stack(list(tokens)) if isinstance(tokens, tuple | list) else tokens


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


def start_from_components(model: PreTrainedModel, films: np.ndarray, seed: int) -> None:
    """Set the patch embedding to the whitened principal components of patches of `films` (N, px, px)."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, films.shape[1] - PATCH_PX, 20_000) for _ in range(2))
    which = rng.integers(0, len(films), 20_000)
    patches = np.stack(
        [films[i, r : r + PATCH_PX, c : c + PATCH_PX].ravel() for i, r, c in zip(which, rows, columns, strict=True)]
    )
    patches = (patches / 255.0 - 0.5) / 0.5
    _, spread, components = np.linalg.svd(patches - patches.mean(0), full_matrices=False)
    embedding = next(m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    scale = np.sqrt(len(patches)) / np.maximum(spread, 0.05 * spread[0] / 10)
    filters = (components * scale[:, None])[: embedding.out_channels].reshape(-1, PATCH_PX, PATCH_PX)
    inputs = embedding.in_channels * (embedding.kernel_size[0] if embedding.weight.ndim == 5 else 1)
    filters = torch.tensor(filters / inputs * 0.5, dtype=torch.float32)  # spread over equal input planes
    with torch.no_grad():
        embedding.weight.zero_()
        shape = (
            (len(filters), 1, 1, PATCH_PX, PATCH_PX)
            if embedding.weight.ndim == 5
            else (len(filters), 1, PATCH_PX, PATCH_PX)
        )
        embedding.weight[: len(filters)] = filters.reshape(shape).expand_as(embedding.weight[: len(filters)])


def train(
    model: PreTrainedModel, processor: ProcessorMixin, films: np.ndarray, cells: np.ndarray, *,
    steps: int, seed: int, keep: Path, batch: int = BATCH, learning_rate: float = 1.5e-3, label: str = "tower",
) -> dict[str, float]:  # fmt: skip
    """Train tower and projector on films (N, px, px) and cells (N, cells, C).

    Goes on from `keep` if that file is there. The last `HELD_OUT` pictures are never trained on;
    returns the area under the ROC curve of each concept on them, by the concept's index.
    """
    fit = np.arange(len(films))[:-HELD_OUT]
    held_films, held_whole = films[-HELD_OUT:], cells[-HELD_OUT:].any(1)
    heads = Heads(int(model.config.get_text_config().hidden_size), cells.shape[-1])
    seeing = [p for name, p in model.named_parameters() if ".language_model." not in name and "lm_head" not in name]
    weights = [*seeing, *heads.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.05)
    begin = _resume(keep, model, heads, optimizer)
    rate = cells[fit].mean((0, 1)).clip(1e-3)
    balance = torch.tensor(np.sqrt((1 - rate) / rate), dtype=torch.float32)
    whole = np.any(cells, axis=1).astype(np.float32)
    for step in tqdm(range(begin, steps), desc=label, unit="step", initial=begin, total=steps, mininterval=10):
        rng = np.random.default_rng([seed, step])
        for group in optimizer.param_groups:
            group["lr"] = (
                learning_rate * min(1, (step + 1) / 50) * (0.02 + 0.98 * math.cos(math.pi / 2 * step / steps) ** 2)
            )
        chosen = rng.choice(fit, batch, replace=False)
        cell_logits, whole_logits = heads(features(model, pixels(processor, augment(films[chosen], rng))))
        loss = functional.binary_cross_entropy_with_logits(
            cell_logits, torch.tensor(cells[chosen], dtype=torch.float32), pos_weight=balance
        ) + functional.binary_cross_entropy_with_logits(whole_logits, torch.tensor(whole[chosen]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            _save(keep, step + 1, model, heads, optimizer)
            tqdm.write(f"{label}: step {step + 1}, loss {loss.item():.3f}, mean AUC "
                       f"{np.nanmean(aucs(model, processor, heads, held_films, held_whole)):.3f}")  # fmt: skip
    values = aucs(model, processor, heads, held_films, held_whole)
    return {str(k): float(value) for k, value in enumerate(values)}


def _save(keep: Path, step: int, model: PreTrainedModel, heads: Heads, optimizer: torch.optim.Optimizer) -> None:
    keep.parent.mkdir(parents=True, exist_ok=True)
    aside = keep.with_suffix(".partial")
    parts = {"model": model.state_dict(), "heads": heads.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"step": step, **parts}, aside)
    aside.replace(keep)


def _resume(keep: Path, model: PreTrainedModel, heads: Heads, optimizer: torch.optim.Optimizer) -> int:
    if not keep.is_file():
        return 0
    state = torch.load(keep, weights_only=True)
    model.load_state_dict(state["model"])
    heads.load_state_dict(state["heads"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def augment(films: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random gain and offset of each film (B, px, px); no flip, since the side is part of a finding."""
    gain, offset = rng.uniform(0.85, 1.15, (len(films), 1, 1)), rng.uniform(-15, 15, (len(films), 1, 1))
    return np.clip((films - 128.0) * gain + 128.0 + offset, 0, 255).astype(np.uint8)


@torch.inference_mode()
def aucs(
    model: PreTrainedModel, processor: ProcessorMixin, heads: Heads, films: np.ndarray, whole: np.ndarray
) -> np.ndarray:
    """Area under the ROC curve of each concept (C,), NaN where the pictures hold only one class."""
    parts = [heads(features(model, pixels(processor, films[i : i + 100])))[1] for i in range(0, len(films), 100)]
    logits = torch.cat(parts).numpy()
    both = [0 < whole[:, c].sum() < len(whole) for c in range(whole.shape[1])]
    return np.array([roc_auc_score(whole[:, c], logits[:, c]) if both[c] else np.nan for c in range(len(both))])
