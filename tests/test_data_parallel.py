"""Two processes that share a step learn what one learns: `torchrun` with gloo, on the processor."""

import os
import subprocess
import sys
from pathlib import Path

import parallel_training
import torch

ROOT = Path(__file__).resolve().parents[1]


def test_two_processes_learn_what_one_learns(tmp_path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [*launch, parallel_training.__file__, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    shared = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for training, of in parallel_training.TRAININGS.items():
        alone = parallel_training.learnt(tmp_path / "alone", *of)
        moved = [name for name, weight in alone["weights"].items() if "lora_B" in name and weight.any()]
        assert len(moved) > len(alone["weights"]) // 3, f"nothing was learnt by {training}"
        for held in shared:
            assert held[training]["window"] == alone["window"]
            for name, weight in alone["weights"].items():
                torch.testing.assert_close(held[training]["weights"][name], weight, rtol=1e-3, atol=1e-5)
