"""The same function in several processes of this machine, joined into one process group: for trying and testing."""

import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from attnbook._validation import check_number, check_size


def run(function: Callable, ranks: int, *arguments: Any, timeout: float = 60.0) -> list[Any]:
    """[function(*arguments) on rank 0, on rank 1, ...]; an exception takes the place of a result.

    Each rank is a process with one thread, and `torch.distributed` ready on the loopback address (gloo). function:
    importable, so not one that a notebook defines. timeout: seconds that a rank waits for another one.
    A rank that ends without an answer gives a RuntimeError as its result.
    """
    check_size("ranks", ranks, least=1)
    check_number("timeout", timeout)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        pipes, started = [], []
        for rank in range(ranks):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_rank, args=(function, rank, ranks, arguments, meeting, timeout, theirs), daemon=True
            )
            process.start()
            theirs.close()  # ours ends when theirs does
            pipes.append(ours)
            started.append(process)
        results = _collect(pipes, started)
        for process in started:
            process.join()
    return results


def _collect(pipes: list[Connection], processes: list) -> list[Any]:
    results: dict[int, Any] = {}
    while len(results) < len(pipes):
        for pipe in wait([pipe for rank, pipe in enumerate(pipes) if rank not in results]):
            rank = pipes.index(pipe)
            try:
                results[rank] = pipe.recv()
                pipe.send(None)
            except EOFError:
                processes[rank].join()
                results[rank] = RuntimeError(f"rank {rank} ended with exit code {processes[rank].exitcode}")
    return [results[rank] for rank in range(len(pipes))]


def _rank(
    function: Callable, rank: int, ranks: int, arguments: tuple, meeting: str, timeout: float, pipe: Connection
) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    try:
        dist.init_process_group(
            "gloo", init_method=meeting, rank=rank, world_size=ranks, timeout=timedelta(seconds=timeout)
        )
        result = function(*arguments)
        dist.barrier()  # nobody leaves while another still reads
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        result = error
    pipe.send(result)
    pipe.recv()  # the tensors of the result are in this process's memory until they have been read
