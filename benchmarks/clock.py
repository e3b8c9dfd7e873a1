"""CPU time by turns: what else the machine does reaches all alike, so that ratios hold where seconds do not."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

Runs = Mapping[str, Callable[[], object]]


class Ratio(NamedTuple):
    """The median over the rounds of a time to the base's time in the same round, and the quartiles around it."""

    median: float
    low: float
    high: float


def by_turns(
    runs: Runs, rounds: int, *, warm: bool = True, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds of each run in each round; every other round in reverse order; warm: one round before is not counted."""
    seconds = {name: [] for name in runs}
    for turn in range(-1 if warm else 0, rounds):
        order = list(runs) if turn % 2 else list(reversed(runs))
        for name in order:
            begin = clock()
            runs[name]()
            passed = clock() - begin
            if turn >= 0:
                seconds[name].append(passed)
    return seconds


def ratios(seconds: Mapping[str, list[float]], base: str) -> dict[str, Ratio]:
    found = {}
    for name, times in seconds.items():
        each = [a / b for a, b in zip(times, seconds[base], strict=True)]
        low, _, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
        found[name] = Ratio(*(float(f"{x:.3g}") for x in (statistics.median(each), low, high)))
    return found


def on_gpu() -> float:
    """A clock for GPUs: what was asked for is finished first."""
    torch.cuda.synchronize()
    return time.perf_counter()
