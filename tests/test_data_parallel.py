"""Two processes that share a step learn what one learns: `torchrun` with gloo, on the processor."""

import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def learnt(folder: Path, launch: tuple[str, ...], processes: int) -> list[dict[str, torch.Tensor]]:
    """What each process holds after an SFT run with every switch of `Speed` off."""
    command = [sys.executable, *launch, str(ROOT / "tests" / "parallel_sft.py"), str(folder), "stock"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [torch.load(folder / f"{rank}-{processes}.pt") for rank in range(processes)]


def test_two_processes_learn_what_one_learns(tmp_path) -> None:
    [alone] = learnt(tmp_path, (), 1)
    shared, _ = learnt(tmp_path, LAUNCH, 2)  # at the end all load the first one's checkpoint
    start = {name for name, weight in alone.items() if not weight.any()}
    assert len(start) < len(alone) // 2, "nothing was learnt"
    for name, weight in alone.items():
        torch.testing.assert_close(shared[name], weight, rtol=1e-3, atol=1e-5)
