"""Whether vLLM gives the greedy answers that transformers gives: python benchmarks/vllm_agreement.py --family qwen

Before vLLM may answer for the study it has to be seen to agree. The same films, prompt, tokens, pixel limits,
repetition penalty and forbidden tokens go to both, each in a process of its own, since each takes the GPU's memory.
In bfloat16 two kernels round differently, and an answer that parts at one token parts for good, so identical texts
are reported but not asked for: what has to agree is what is scored, the labels of a study, in `WANTED` of the studies.
Needs a GPU and `pip install vllm` in an environment of its own, since vLLM brings the torch that it was built with. The
miniatures will not do: vLLM asks for parts of the published processors that they lack.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chexreason import config
from chexreason.completions import parse_completion
from chexreason.errors import UserError
from chexreason.files import write_atomically
from chexreason.prompts import Prompt, get

RESULT = config.RESULTS / "benchmarks" / "vllm.csv"
#: Our choice: below it, five of a hundred scored answers would hang on who decoded them.
WANTED = 0.95


def agreement(
    ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]], texts: tuple[Sequence[str], Sequence[str]],
    prompt: Prompt,
) -> dict[str, float]:  # fmt: skip
    """How far two lists of answers agree: tokens (ids without the end token), whole answers, labels, failures.

    `same_start` is the mean share of an answer before the first token that differs.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"expected as many answers from both, came {len(ours)} and {len(theirs)}")
    starts = []
    for a, b in zip(ours, theirs, strict=True):
        longest = max(len(a), len(b))
        same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        starts.append(same / longest if longest else 1.0)
    parsed = [[parse_completion(text, prompt.answer) for text in side] for side in texts]
    pairs = list(zip(*parsed, strict=True))
    return {
        "answers": len(ours),
        "same_answer": float(np.mean([list(a) == list(b) for a, b in zip(ours, theirs, strict=True)])),
        "same_start": float(np.mean(starts)),
        "same_labels": float(np.mean([set(a.labels) == set(b.labels) for a, b in pairs])),
        "same_failure": float(np.mean([a.failed == b.failed for a, b in pairs])),
    }


def answers(loaded: Any, studies: list[Any], prompt: Prompt, settings: Any) -> list[list[int]]:
    """The answers' tokens as the study decodes them."""
    from chexreason import evaluate

    done = evaluate.decode(loaded, studies, prompt, settings)
    tokenizer = loaded.processor.tokenizer
    return [tokenizer(one.text, add_special_tokens=False)["input_ids"] for one in done]


def child(side: str, family: str, source: str, n: int) -> None:
    """One side, on phantom films; the tokens and texts of its answers as JSON on the last line."""
    import stand_ins

    from chexreason import models

    decoding, prompt = config.load_profile("paper", unset=True).decoding, get("free_reasoning")
    settings = dataclasses.replace(decoding, vllm=side == "vllm")
    loaded = models.load(family, source)
    with tempfile.TemporaryDirectory() as folder:
        studies = stand_ins.studies(n, Path(folder))
        said = answers(loaded, studies, prompt, settings)
    print(json.dumps({"ids": said, "texts": [loaded.processor.tokenizer.decode(ids) for ids in said]}))


def main() -> int:
    """Compare, write the table, and say whether they agree: exit status 0 only then."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--family", choices=("medgemma", "qwen", "nv_reason"), default="medgemma")
    parser.add_argument("--model", help="a folder with weights, or a hub id (default: the published ones)")
    parser.add_argument("--films", type=int, default=100, help="phantom films that both are asked about")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--child", choices=("transformers", "vllm"), help=argparse.SUPPRESS)
    words = parser.parse_args()
    source = words.model or config.load_profile("paper", unset=True).models[words.family]
    if words.child:
        child(words.child, words.family, source, words.films)
        return 0
    try:
        if importlib.util.find_spec("vllm") is None:
            raise UserError(
                "vLLM",
                "none in this environment",
                "pip install vllm in an environment of its own",
            )
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        sides = []
        for side in ("transformers", "vllm"):
            command = [sys.executable, __file__, "--child", side, "--family", words.family, "--model", source]
            ended = subprocess.run(
                [*command, "--films", str(words.films)], stdout=subprocess.PIPE, text=True, check=False
            )
            if ended.returncode:
                raise UserError(f"{side} to answer", f"exit status {ended.returncode}", "see the lines above")
            sides.append(json.loads(ended.stdout.splitlines()[-1]))
    except UserError as error:
        print(f"vllm_agreement: {error}", file=sys.stderr)
        return 2
    ours, theirs = sides
    found = agreement(ours["ids"], theirs["ids"], (ours["texts"], theirs["texts"]), get("free_reasoning"))
    row = {"family": words.family, **found, "model": Path(source).name, "device": device, "vllm": _vllm_version(),
           "transformers": _version("transformers"), "torch": _version("torch")}  # fmt: skip
    table = pd.DataFrame([row]).round(4)
    if words.out.is_file():
        known = pd.concat([pd.read_csv(words.out), table])
        table = known.drop_duplicates(["family", "model", "device", "vllm"], keep="last")
    write_atomically(words.out, table.to_csv(index=False).encode())
    print(table.to_string(index=False))
    agree = found["same_labels"] >= WANTED
    print(f"labels agree on {found['same_labels']:.1%} of the films ({WANTED:.0%} wanted): {'yes' if agree else 'NO'}")
    return 0 if agree else 1


def _vllm_version() -> str:
    from vllm import __version__

    return str(__version__)


def _version(package: str) -> str:
    return importlib.metadata.version(package)


if __name__ == "__main__":
    sys.exit(main())
