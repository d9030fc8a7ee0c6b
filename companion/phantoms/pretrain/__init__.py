"""How the three base checkpoints in `companion/phantoms/checkpoints` are made (`chexreason pretrain NAME`).

None of this is in the paper: its base models came trained. Ours are trained here, in two stages
(`vision_encoder`, then `language`) on pictures drawn for the purpose (`pool`, `drawings`) with the lessons of
`lessons`. The recipes are in `make`. Everything is seeded, kept in the cache and resumed.
"""

#: Of the miniatures: pixels a side of an image and of a patch, and image tokens, each of 2 x 2 patches.
IMAGE_PX, PATCH_PX = 168, 14
IMAGE_TOKENS = (IMAGE_PX // PATCH_PX // 2) ** 2
