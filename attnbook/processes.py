"""The same function in several processes of this machine, joined into one process group: for trying and testing."""

import multiprocessing
import os
import sys
import tempfile
import time
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
    A rank that ends without an answer gives a RuntimeError as its result. So does one that is still running when twice
    the timeout has passed since another one failed: it is stopped.
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
        try:
            results = _collect(pipes, started, 2 * timeout)
        except BaseException:  # an interrupt, say: nobody runs on alone
            for process in started:
                process.kill()
            raise
        for process in started:
            process.join()
    return results


def _collect(pipes: list[Connection], processes: list, patience: float) -> list[Any]:
    results: dict[int, Any] = {}
    end = None
    while missing := [rank for rank in range(len(pipes)) if rank not in results]:
        ready = wait([pipes[rank] for rank in missing], None if end is None else max(0.0, end - time.monotonic()))
        for rank in missing:
            if not ready:
                processes[rank].kill()
                results[rank] = RuntimeError(f"rank {rank} did not answer and was stopped")
            elif pipes[rank] in ready:
                try:
                    results[rank] = pipes[rank].recv()
                    pipes[rank].send(None)
                except EOFError:
                    processes[rank].join()
                    results[rank] = RuntimeError(f"rank {rank} ended with exit code {processes[rank].exitcode}")
                if isinstance(results[rank], Exception) and end is None:
                    end = time.monotonic() + patience
    return [results[rank] for rank in range(len(pipes))]


def _rank(
    function: Callable, rank: int, ranks: int, arguments: tuple, meeting: str, timeout: float, pipe: Connection
) -> None:
    torch.set_num_threads(1)
    os.environ |= {"linux": {"GLOO_SOCKET_IFNAME": "lo"}, "darwin": {"GLOO_SOCKET_IFNAME": "lo0"}}.get(sys.platform, {})
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
