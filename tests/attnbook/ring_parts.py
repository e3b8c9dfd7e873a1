"""What the tests of the ring run on each rank: functions that another process can import."""

import time

import torch
import torch.distributed as dist

from attnbook.ring import ring_attention, split
from attnbook.ring_check import part


def many(cases):
    """`part` for each (query, key, value, upstream, causal)."""
    return [part(*case) for case in cases]


def without_balance(query, key, value):
    """Contiguous shards, as any shards will do where nothing is causal."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    return ring_attention(*(x.chunk(ranks, dim=-2)[rank] for x in (query, key, value)))


def of_half_of_the_ranks(query, key, value):
    """Two groups beside each other, each with a sequence of its own."""
    groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
    mine = dist.get_rank() % 2
    inputs = (split(x[mine], dist.get_rank() // 2, 2) for x in (query, key, value))
    return ring_attention(*inputs, causal=True, group=groups[mine])


def refusals():
    """The messages of calls that a rank, or all of them, must refuse."""
    rank, found = dist.get_rank(), []
    x = torch.zeros(1, 4, 3)
    for call in (
        lambda: ring_attention(torch.zeros(1, 4 + 2 * rank, 3), x, x),
        lambda: ring_attention(x, x, x, causal=rank == 0),
        lambda: ring_attention(x[:, :3], x[:, :3], x[:, :3], causal=True),
        lambda: ring_attention(x, x[..., :2], x),
    ):
        try:
            call()
        except ValueError as error:
            found.append(str(error))
    return found


def second_dies():
    if dist.get_rank() == 1:
        raise SystemExit(3)


def first_sleeps(seconds):
    """Rank 0 is there and does not answer."""
    x = torch.zeros(1, 4, 3)
    if dist.get_rank() == 0:
        time.sleep(seconds)
    return ring_attention(x, x, x)
