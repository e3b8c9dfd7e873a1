"""Ring attention on processes of this machine against one process: outputs, gradients, traffic, failures."""

import os
import subprocess
import sys
import time

import pytest
import torch

from attnbook.processes import run
from attnbook.ring import join, ring_attention, split
from attnbook.ring_check import in_one_process, part, whole
from tests.attnbook import ring_parts
from tests.attnbook.reference import inputs, refused


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    """The processes import this folder's modules too."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))


def cases(n):
    """Plain and causal; shared key heads; values of another size; float32; more axes and fewer."""
    shapes = [
        ((2, n, 4), (2, n, 4), (2, n, 4)),
        ((1, 4, n, 3), (1, 2, n, 3), (1, 2, n, 5)),
        ((n, 4), (n, 4), (n, 4)),
    ]
    for i, one in enumerate(shapes):
        for causal in (False, True):
            x = inputs(*one, (*one[0][:-1], one[2][-1]), seed=i)
            yield (*x, causal)
    yield (*(x.float() for x in inputs(*[(1, 2, n, 16)] * 4)), True)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_all_ranks_together_are_one_process(ranks):
    given = list(cases(12 * ranks))
    found = run(ring_parts.many, ranks, given, timeout=30.0)
    for case, parts in zip(given, zip(*found, strict=True), strict=True):
        atol = 1e-5 if case[0].dtype == torch.float32 else 1e-12
        for a, b in zip(whole(parts), in_one_process(*case), strict=True):
            torch.testing.assert_close(a, b, atol=atol, rtol=0)
        for one in parts:
            check_traffic(case, ranks, one)


def check_traffic(case, ranks, one):
    """Keys and values of a rank, P - 1 times; backward once more, and their gradients P times."""
    key, value = case[1:3]
    held = (key.numel() + value.numel()) // ranks * key.element_size()
    rounds = ranks - 1
    assert (one.forward.messages, one.forward.bytes) == (rounds, rounds * held)
    home = ranks if ranks > 1 else 0
    assert (one.backward.messages, one.backward.bytes) == (rounds + home, (rounds + home) * held)


def test_contiguous_shards_and_groups():
    x = inputs((2, 12, 4), (2, 12, 4), (2, 12, 3))
    parts = run(ring_parts.without_balance, 3, *x, timeout=30.0)
    expected, *_ = in_one_process(*x, torch.zeros(2, 12, 3).double(), False)
    torch.testing.assert_close(torch.cat(parts, dim=-2), expected, atol=1e-12, rtol=0)
    x = inputs((2, 1, 8, 4), (2, 1, 8, 4), (2, 1, 8, 3))
    parts = run(ring_parts.of_half_of_the_ranks, 4, *x, timeout=30.0)
    for mine in (0, 1):
        expected, *_ = in_one_process(*(t[mine] for t in x), torch.zeros(1, 8, 3).double(), True)
        torch.testing.assert_close(join([parts[mine], parts[mine + 2]]), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dies", [0, 2])
def test_a_rank_that_dies_ends_the_others(dies):
    """Well before the timeout, with a sentence that says where it was noticed."""
    x = inputs((1, 12, 4), (1, 12, 4), (1, 12, 4), (1, 12, 4))
    begin = time.monotonic()
    results = run(part, 3, *x, False, dies, timeout=60.0)
    assert time.monotonic() - begin < 40
    assert str(results[dies]) == f"rank {dies} ended with exit code 1"
    for rank in {0, 1, 2} - {dies}:
        assert isinstance(results[rank], RuntimeError)
        assert f"rank {rank}, " in str(results[rank]) and "has ended or does not answer" in str(results[rank])


def test_a_rank_that_does_not_answer():
    """The others wait as long as the timeout says."""
    results = run(ring_parts.first_sleeps, 2, 6.0, timeout=3.0)
    assert isinstance(results[1], RuntimeError) and "rank 1, before the first step" in str(results[1])


def test_a_rank_without_an_answer():
    results = run(ring_parts.second_dies, 2, timeout=5.0)
    assert isinstance(results[1], RuntimeError) and "rank 1 ended with exit code" in str(results[1])


def test_what_ranks_refuse():
    for rank, found in enumerate(run(ring_parts.refusals, 2, timeout=30.0)):
        other = 1 - rank
        assert found[0].startswith("query, key, value and causal must be alike on all ranks; those of rank")
        assert f"query (1, {4 + 2 * rank}, 3)" in found[0] and f"of rank {other} differ from rank {rank}'s" in found[0]
        assert f"causal {rank == 0}" in found[1]
        assert found[2].startswith("query must have as many positions as key, an even number")
        assert found[3].startswith("key must have last axis 3")


def test_torchrun():
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "attnbook.ring_check"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("2 ranks, causal") == 2


@pytest.mark.parametrize("ranks", [1, 2, 5])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_split_and_join(ranks, dim):
    x = torch.arange(20 * 20).view(20, 20)
    parts = [split(x, rank, ranks, dim=dim) for rank in range(ranks)]
    assert torch.equal(join(parts, dim=dim), x)
    assert all(part.shape[dim] == 20 // ranks for part in parts)


def test_which_positions_a_rank_holds():
    x = torch.arange(12)
    assert [split(x, rank, 3, dim=0).tolist() for rank in range(3)] == [
        [0, 1, 10, 11],
        [2, 3, 8, 9],
        [4, 5, 6, 7],
    ]


X = torch.zeros(1, 4, 3)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (lambda: ring_attention(X, X, X), RuntimeError, "ring_attention needs a process group", "init_process_group"),
        (lambda: split(X, 2, 2), ValueError, "rank must be less than ranks = 2", "2"),
        (lambda: split(X, 0, 4), ValueError, "x must have a multiple of 8 positions along axis -2", "(1, 4, 3)"),
        (lambda: split(X, 0, 0), ValueError, "ranks must be at least 1", "0"),
        (lambda: run(part, 0), ValueError, "ranks must be at least 1", "0"),
        (lambda: run(part, 1, timeout="a"), TypeError, "timeout must be a number", "str"),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
