"""Ring attention on processes of this machine against one process: outputs, gradients, traffic, failures."""

import os
import re
import subprocess
import sys
import time

import pytest
import torch

from attnbook.processes import run
from attnbook.ring import join, ring_attention, split
from attnbook.ring_check import in_one_process, part, whole
from tests.attnbook import ring_parts
from tests.attnbook.reference import attend_batch, check, inputs, refused

RANKS = 1, 2, 3, 4


@pytest.fixture(scope="module", autouse=True)
def own_path():
    """The processes import this folder's modules too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
        yield


def cases(n):
    """Plain and causal; shared key heads, values of another size; leading axes that broadcast; two axes; float32."""
    shapes = [
        ((1, 4, n, 3), (1, 2, n, 3), (1, 2, n, 5)),
        ((2, 1, n, 4), (3, n, 4), (2, 3, n, 2)),
        ((n, 4), (n, 4), (n, 4)),
    ]
    for i, (q, k, v) in enumerate(shapes):
        for causal in (False, True):
            heads = (2, 3) if i == 1 else q[:-2]
            yield (*inputs(q, k, v, (*heads, n, v[-1]), seed=i), causal)
    yield (*(x.float() for x in inputs(*[(1, 2, n, 16)] * 4)), True)


GIVEN = {ranks: list(cases(6 * ranks)) for ranks in RANKS}
# Contiguous shards do where nothing is causal; the queries may be fewer than the keys.
SHARDS = [inputs((2, 1, 4, 3), (2, 1, 12, 3), (2, 1, 12, 2)), inputs((2, 4, 4, 3), (2, 4, 4, 3), (2, 4, 4, 3), seed=1)]


@pytest.fixture(scope="module")
def found(own_path):
    """What four ranks found, started once for all the tests that need no new start."""
    every = run(ring_parts.without_deaths, 4, GIVEN, SHARDS, timeout=60.0)
    errors = [one for one in every if isinstance(one, Exception)]
    assert not errors, "\n".join(getattr(errors[0], "__notes__", [str(errors[0])]))
    return every


@pytest.mark.parametrize("ranks", RANKS)
def test_all_ranks_together_are_one_process(ranks, found):
    results = [one[ranks] for one in found if ranks in one]
    assert len(results) == ranks
    for i, case in enumerate(GIVEN[ranks]):
        parts = [one[i] for one in results]
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


def test_contiguous_shards(found):
    for i, case in enumerate(SHARDS):
        together = torch.cat([one["shards"][i] for one in found], dim=-2)
        check(together, attend_batch(*case)[0], atol=1e-12)


def test_sending_hides_behind_computing(found):
    """Each message is under way while the ranks compute, and is awaited when they are done."""
    keys, grads = "keys and values", "gradients"
    forward = [f"begin {keys}", 64, f"await {keys}"] * 3 + [64]
    first = [f"begin {keys}", 64, f"begin {grads}", f"await {keys}"]
    between = [f"begin {keys}", 64, f"await {grads}", f"begin {grads}", f"await {keys}"]
    last = [64, f"await {grads}", f"begin {grads}", f"await {grads}"]
    for one in found:
        assert one["events"][0] == forward + first + 2 * between + last


def test_what_is_masked_is_skipped_and_the_rest_is_balanced(found):
    """Of 32 x 33 / 2 allowed pairs in each direction no rank computes another one, and all the same in each step."""
    for one in found:
        assert [x for x in one["events"][1] if isinstance(x, int)] == [36, 32, 32, 32] * 2
    assert 4 * (36 + 3 * 32) == 32 * 33 // 2


def test_memory_does_not_grow_with_the_ranks(found):
    """Kept for the way back: a rank's own queries, keys, values, outputs and log-sum-exps."""
    assert [one["saved"] for one in found] == [4 * 8 * 4 + 8] * 4


def test_what_ranks_refuse(found):
    """Each names the first rank that differs from it, and what it has itself."""
    kinds = {  # the ranks' parts; and how a rank's own part reads in its message
        "length": ([4, 6, 8, 10], "query (1, {}, 3)"),
        "causal": ([True, False, False, False], "causal {}"),
        "dtype": ([32, 32, 32, 64], "torch.float{}"),
        "gradients": ([False, True, False, False], "gradients {}"),
        "axes": (["1", "1", "1, 1", "1"], "query (1, {}, 4, 3)"),
        "leading": ([1, 2, 1, 1], "query ({}, 1, 1, 4, 3)"),
    }
    for rank, one in enumerate(found):
        messages = one["refused"]
        for name, (own, says) in kinds.items():
            other = next(r for r in range(4) if own[r] != own[rank])
            starts = "query, key, value and causal must be alike on all ranks; "
            assert messages[name].startswith(f"{starts}those of rank {other} differ from rank {rank}'s: ")
            assert says.format(own[rank]) in messages[name]
        assert messages["odd"].startswith("query must have as many positions as key, an even number")
        assert messages["size"].startswith("key must have last axis 3")
        assert messages["heads"].startswith("key must have heads (axis -3) whose number divides")
        member = f"group must have this process as a member; rank {rank} is not in it" if rank < 2 else None
        assert messages["member"] == member


@pytest.mark.parametrize(("computation", "places"), [(1, r"step [12]"), (4, r"backward, step [12]")])
def test_a_rank_that_dies_ends_the_others(computation, places):
    """Long before the timeout, with a sentence that says where it was noticed, and whom to look at."""
    results = run(ring_parts.dies_at, 3, inputs(*[(1, 12, 4)] * 3), computation, timeout=60.0)
    assert str(results[1]) == "rank 1 ended with exit code 7"
    first = rf"rank 2, {places} of 3: the exchange of (keys and values|gradients) failed; rank 1, from which they come"
    assert re.match(first, str(results[2]))
    for rank in (0, 2):
        assert isinstance(results[rank], RuntimeError) and f"rank {rank}, " in str(results[rank])
        assert "rank 1, " in str(results[rank]) and "has ended or does not answer" in str(results[rank])
        assert results[rank].seconds < 20


def test_a_rank_that_does_not_answer():
    """The other one waits as long as the timeout says; then nobody waits for the one that hangs."""
    begin = time.monotonic()
    results = run(ring_parts.first_sleeps, 2, timeout=2.0)
    assert isinstance(results[1], RuntimeError) and "rank 1, before the first step" in str(results[1])
    assert str(results[0]) == "rank 0 did not answer and was stopped"
    assert time.monotonic() - begin < 60


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
        (lambda: ring_attention(X, X, X, causal=1), TypeError, "causal must be True or False", "int"),
        (lambda: split([1, 2], 0, 1), TypeError, "x must be a torch.Tensor", "list"),
        (lambda: split(X, 2, 2), ValueError, "rank must be less than ranks = 2", "2"),
        (lambda: split(X, 0, 4), ValueError, "x must have a multiple of 8 positions along axis -2", "(1, 4, 3)"),
        (lambda: split(X, 0, 0), ValueError, "ranks must be at least 1", "0"),
        (lambda: join([]), ValueError, "parts must have one shape", "[]"),
        (lambda: join([X, X[:, :2]]), ValueError, "parts must have one shape", "[(1, 2, 3), (1, 4, 3)]"),
        (lambda: join([X[:, :3]] * 2), ValueError, "parts must have one shape, its axis -2 even", "[(1, 3, 3)]"),
        (lambda: run(part, 0), ValueError, "ranks must be at least 1", "0"),
        (lambda: run(part, 1, timeout="a"), TypeError, "timeout must be a number", "str"),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
