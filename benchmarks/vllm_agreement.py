"""Whether vLLM gives the greedy answers that transformers gives: python benchmarks/vllm_agreement.py --family qwen

Before vLLM may answer for the study it has to be seen to agree. The same images, prompt, tokens, pixel limits,
repetition penalty and forbidden tokens go to both, each in a process of its own, since each takes the GPU's memory.
In bfloat16 two kernels round differently, and an answer that parts at one token parts for good, so identical texts
are reported but not asked for: what has to agree is what is scored, the labels of a study, in `WANTED` of the studies.
Needs a GPU and `pip install vllm` in an environment of its own, since vLLM brings the torch that it was built with. The
miniatures will not do: vLLM asks for parts of the published processors that they lack.
"""

import argparse
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
from companion.workflow import provenance

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
        raise ValueError(f"expected as many answers from both, got {len(ours)} and {len(theirs)}")
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


def child(side: str, family: str, source: str, n: int, out: Path) -> None:
    """One side, on phantom images: the tokens and texts of its answers and what was found, as JSON in a file.

    vLLM gives no answers if it does not agree on a prompt.
    """
    import stand_ins

    from chexreason import evaluate, models
    from companion.replication import vllm_engine
    from companion.speed.decoding import generate as ours

    settings, prompt = config.load_profile("paper", unset=True).decoding, get("free_reasoning")
    loaded, found, said = models.load(family, source), {}, []
    tokenizer = loaded.processor.tokenizer
    if side == "vllm":
        engine = vllm_engine.start(loaded)
        found["prompt_apart"] = vllm_engine.prompt_difference(loaded, engine)
        found["prompt_apart_causal"] = vllm_engine.prompt_difference(loaded, engine, causal=True)
    if not found or found["prompt_apart"] <= vllm_engine.APART[loaded.model.dtype]:
        decoder = vllm_engine.answers if side == "vllm" else ours
        with tempfile.TemporaryDirectory() as folder:
            done = evaluate.decode(loaded, stand_ins.studies(n, Path(folder)), prompt, settings, engine=decoder)
        said = [tokenizer(one.text, add_special_tokens=False)["input_ids"] for one in done]
    texts = [tokenizer.decode(ids) for ids in said]
    out.write_text(json.dumps({"ids": said, "texts": texts, "found": found}))  # vLLM prints on standard output


def main() -> int:
    """Compare, write the table, and say whether they agree: exit status 0 only then."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--family", choices=("medgemma", "qwen", "nv_reason"), default="medgemma")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", help="a folder with weights, or a hub id (default: the published ones)")
    which.add_argument("--stand-in", action="store_true", help="a small model that is made first, in some minutes")
    parser.add_argument("--films", type=int, default=100, help="phantom images that both are asked about")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--child", choices=("transformers", "vllm"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    source = args.model or config.load_profile("paper", unset=True).models[args.family]
    if args.child:
        child(args.child, args.family, source, args.images, args.out)
        return 0
    try:
        if importlib.util.find_spec("vllm") is None:
            raise UserError("vLLM", "none in this environment", "pip install vllm in an environment of its own")
        with tempfile.TemporaryDirectory() as folder:
            if args.stand_in:
                import vllm_stand_in

                vllm_stand_in.write(args.family, Path(folder))
                source = folder
            ours, theirs = (_side(side, args, source, Path(folder)) for side in ("transformers", "vllm"))
    except UserError as error:
        print(f"vllm_agreement: {error}", file=sys.stderr)
        return 2
    import torch

    versions = {package: importlib.metadata.version(package) for package in ("vllm", "transformers", "torch")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    name = "stand-in" if args.stand_in else Path(source).name
    row = {"family": args.family, "model": name, "device": device, **versions, **theirs["found"],
           "code": provenance.measured_code(RESULT.name)}  # fmt: skip
    if theirs["ids"]:
        row |= agreement(ours["ids"], theirs["ids"], (ours["texts"], theirs["texts"]), get("free_reasoning"))
    table = pd.DataFrame([row])
    if args.out.is_file():
        known = pd.concat([pd.read_csv(args.out), table])
        table = known.drop_duplicates(["family", "model", "device", "vllm"], keep="last")
    write_atomically(args.out, table.to_csv(index=False, float_format="%.4g").encode())
    print(table.to_string(index=False))
    if not theirs["ids"]:
        print(f"not asked for answers: a prompt's tokens lie {row['prompt_apart']:.2g} apart (natural logarithms)")
        return 1
    agree = row["same_labels"] >= WANTED
    print(f"labels agree on {row['same_labels']:.1%} of the images ({WANTED:.0%} wanted): {'yes' if agree else 'NO'}")
    return 0 if agree else 1


def _side(side: str, args: argparse.Namespace, source: str, folder: Path) -> dict[str, Any]:
    """What one side said, in a process of its own, since each takes the GPU's memory."""
    out = folder / f"{side}.json"
    asked = ["--family", args.family, "--model", source, "--films", str(args.images), "--out", str(out)]
    ended = subprocess.run([sys.executable, __file__, "--child", side, *asked], check=False)
    if ended.returncode:
        raise UserError(f"{side} to answer", f"exit status {ended.returncode}", "see the lines above")
    return dict(json.loads(out.read_text()))


if __name__ == "__main__":
    sys.exit(main())
