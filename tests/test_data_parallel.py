"""Two processes that share a step learn what one learns: `torchrun` with gloo, on the processor."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def after(folder: Path, what: str, speed: str, processes: int) -> list[dict[str, Any]]:
    """What each process holds after a training."""
    launch = LAUNCH if processes > 1 else ()
    command = [sys.executable, *launch, str(ROOT / "tests" / "parallel_training.py"), str(folder), what, speed]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [torch.load(folder / f"{rank}-{processes}.pt") for rank in range(processes)]


@pytest.mark.parametrize(("what", "speed"), [("sft", "fast"), ("sft", "stock"), ("grpo", "fast")])
def test_two_processes_learn_what_one_learns(tmp_path, what, speed) -> None:
    [alone] = after(tmp_path, what, speed, 1)
    shared = after(tmp_path, what, speed, 2)
    moved = [name for name, weight in alone["weights"].items() if "lora_B" in name and weight.any()]
    assert len(moved) > len(alone["weights"]) // 3, "nothing was learnt"
    for each in shared:
        assert each["window"] == alone["window"]
        for name, weight in alone["weights"].items():
            torch.testing.assert_close(each["weights"][name], weight, rtol=1e-3, atol=1e-5)
