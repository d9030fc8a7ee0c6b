"""Answers by several processes are those of one, and what goes wrong in one of them reaches the user."""

import dataclasses
import functools
import multiprocessing
import os
import subprocess
import sys
import time

import psutil
import pytest
import torch

from chexreason import evaluate, prompts
from chexreason.completions import Completion
from chexreason.errors import UserError
from chexreason.recipe import Decoding
from companion.speed import decoding
from companion.speed.multiprocess import in_processes, processes
from companion.speed.switches import Speed

PROMPT = prompts.get("only_label")
CPU = torch.device("cpu")
HOUR = 3600  # seconds: no machine is so slow


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("family_name", "leave"), [("medgemma", True), ("qwen", False)], indirect=["family_name"])
def test_two_processes_say_what_one_says(random_model, studies, two_threads, leave, monkeypatch) -> None:
    many = [studies[k % len(studies)] for k in range(21)]
    settings = dataclasses.replace(Decoding(), max_new_tokens=6, batch_size=20)
    apart = []
    monkeypatch.setattr(decoding, "in_processes", lambda *words: apart.append(words[1]) or in_processes(*words))

    def decode(speed: Speed) -> list[Completion]:
        engine = functools.partial(decoding.generate, speed=speed)
        return evaluate.decode(random_model, many, PROMPT, settings, engine=engine)

    alone = decode(Speed(multiprocess=False, continuous_batching=leave))
    assert not apart
    assert decode(Speed(continuous_batching=leave)) == alone
    assert [len(part) for part in apart[0]] == [11, 10]


def test_a_process_is_given_enough_to_do(two_threads) -> None:
    assert processes(CPU, studies=100, batch=40) == 2
    assert processes(CPU, studies=19, batch=40) == 1
    assert processes(CPU, studies=100, batch=16) == 1
    assert processes(torch.device("cuda"), studies=100, batch=40) == 1
    torch.set_num_threads(1)
    assert processes(CPU, studies=100, batch=40) == 1


class Odd(Exception):
    """An error that cannot be made from its text alone."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} is not {two}")


def raises(error: BaseException):
    def act(part, tell):
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        (raises(UserError("an image", "none", "look")), UserError, "Expected an image"),
        (raises(Odd(1, 2)), RuntimeError, "1 is not 2"),
        (lambda part, tell: tell(1), KeyboardInterrupt, None),
        (lambda part, tell: os.kill(os.getpid(), 9), UserError, r"exit status -9.*decoding\.batch"),
    ],
)
def test_what_goes_wrong_in_a_process_or_here_is_raised_here_and_ends_the_others(act, kind, said) -> None:
    def work(part, tell):
        if part:
            act(part, tell)
        time.sleep(HOUR)

    def stop(count):
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(kind, match=said):
        in_processes(work, [0, 1], stop)
    assert time.monotonic() - start < HOUR
    assert not multiprocessing.active_children()


PARENT = """
import multiprocessing, time
from companion.speed.multiprocess import in_processes

def work(part, tell):
    while True:
        time.sleep(0.1)
        tell(1)

told = []
def tell(count):
    told.append(count)
    if len(told) == 2:
        print(*[process.pid for process in multiprocessing.active_children()], flush=True)

in_processes(work, [0, 1], tell)
"""


def test_processes_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.kill()
    assert not psutil.wait_procs(children, timeout=HOUR)[1]
