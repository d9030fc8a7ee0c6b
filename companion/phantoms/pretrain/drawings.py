"""General drawings for the Qwen-like miniature: shapes, lines and textures, and never a chest.

They teach its vision encoder to see edges, sizes and grey levels, as a general-purpose model has learnt to,
without a single chest image.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

#: What a drawing may show.
CONCEPTS: tuple[str, ...] = (
    "circle", "square", "triangle", "ring", "cross", "line", "stripes", "dots", "patch", "star",
)  # fmt: skip


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A drawing (size, size) uint8 with one to four shapes, and a mask bool (size, size) for each."""
    ground = float(rng.uniform(20, 160))
    slope = rng.uniform(-60, 60, 2)
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    canvas = Image.fromarray(np.clip(ground + slope[0] * rows + slope[1] * columns, 0, 255).astype(np.uint8))
    masks: dict[str, np.ndarray] = {}
    for name in rng.choice(CONCEPTS, size=int(rng.integers(1, 5)), replace=False):
        mask = _mask(str(name), rng, size)
        tone = int(np.clip(ground + rng.choice([-1, 1]) * rng.uniform(40, 120), 0, 255))
        canvas.paste(tone, mask=mask)
        masks[str(name)] = np.asarray(mask) > 60
    blurred = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.5))))
    noisy = np.asarray(blurred, dtype=np.float32) + rng.normal(0, rng.uniform(1, 12), (size, size))
    return np.clip(noisy, 0, 255).astype(np.uint8), masks


def _mask(name: str, rng: np.random.Generator, size: int) -> Image.Image:
    """An 8-bit mask of one shape at a random place and size."""
    mask = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(mask)
    r = float(rng.uniform(0.06, 0.2)) * size
    x, y = rng.uniform(r, size - r, 2)
    box = (x - r, y - r, x + r, y + r)
    width = max(2, int(r / 5))
    turn = float(rng.uniform(0, 2 * np.pi))

    def corner(k: int, n: int, radius: float) -> tuple[float, float]:
        return x + radius * np.cos(turn + 2 * np.pi * k / n), y + radius * np.sin(turn + 2 * np.pi * k / n)

    if name == "circle":
        pen.ellipse(box, fill=255)
    elif name == "ring":
        pen.ellipse(box, outline=255, width=width)
    elif name in ("square", "triangle"):
        corners = 4 if name == "square" else 3
        pen.polygon([corner(k, corners, r) for k in range(corners)], fill=255)
    elif name == "star":
        pen.polygon([corner(k, 10, r if k % 2 else r / 2.5) for k in range(10)], fill=255)
    elif name == "cross":
        for k in range(2):
            pen.line([corner(k, 4, r), corner(k + 2, 4, r)], fill=255, width=width)
    elif name == "line":
        ends = rng.uniform(0, size, 4)
        pen.line([tuple(ends[:2]), tuple(ends[2:])], fill=255, width=int(rng.integers(2, 6)))
    elif name == "stripes":
        for k in range(-3, 4):
            offset = k * r / 3.5
            pen.line((x - r, y + offset, x + r, y + offset), fill=255, width=2)
    elif name == "dots":
        for dx, dy in rng.uniform(-r, r, (9, 2)):
            pen.ellipse((x + dx - 2, y + dy - 2, x + dx + 2, y + dy + 2), fill=255)
    elif name == "patch":
        pen.ellipse(box, fill=200)
        mask = mask.filter(ImageFilter.GaussianBlur(r / 3))
    return mask
