"""What the size of a rollout batch does to the time of a completion: python benchmarks/rollout_size.py

One rollout batch of so many studies with two passes over it, ours, on one thread; each size in a process of its
own. Writes results/benchmarks/rollout_size.csv. The method is that of `speed.py`.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import speed

from chexreason import config, recipe
from companion.phantoms.prepare import prepare

#: (studies a rollout batch, completions a forward pass)
SIZES = ((2, 8), (8, 16), (32, 16), (32, 64))


def child(studies: int, device_batch: int) -> None:
    """Run one size and print what it took, as JSON on the last line."""
    profile = config.load_profile("demo")
    settings = dataclasses.replace(profile.grpo, studies_per_step=studies, per_device_train_batch_size=device_batch)
    profile = dataclasses.replace(profile, grpo=settings)
    prepare(profile)
    with tempfile.TemporaryDirectory() as folder:
        run, facts = speed.grpo(profile, "medgemma", Path(folder), 0)
        start = time.process_time()
        run()
        took = {"cpu": time.process_time() - start, "peak_mb": speed.memory("VmHWM"), **facts()}
    print(json.dumps(took))


def main() -> None:
    """Measure every size and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--child", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(*arguments.child)
    rows = []
    for studies, device_batch in SIZES:
        command = [sys.executable, __file__, "--child", str(studies), str(device_batch)]
        ended = subprocess.run(command, env=os.environ | speed.ONE_THREAD, capture_output=True, text=True, check=True)
        took = json.loads(ended.stdout.splitlines()[-1])
        completions = studies * recipe.GRPO().num_generations
        each = {f"{stage} s": seconds / completions for stage, seconds in took["stages"].items()}
        rows.append(
            {"studies_per_step": studies, "device_batch": device_batch, "completions": completions,
             "tokens a completion": took["units"] / completions, "s a completion": took["cpu"] / completions,
             "ms a token": 1e3 * took["cpu"] / took["units"], "peak_mb": took["peak_mb"], **each}
        )  # fmt: skip
    speed.PLACE.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).round(4)
    table.to_csv(speed.PLACE / "rollout_size.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
