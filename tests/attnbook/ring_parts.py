"""What the tests of the ring run on each rank: functions that another process can import."""

import os
import time

import torch
import torch.distributed as dist

from attnbook import ring
from attnbook.ring import ring_attention, split
from attnbook.ring_check import part


def without_deaths(cases, shards):
    """All that needs no new start, in one: on four ranks, what each of them found."""
    groups = {ranks: dist.new_group(list(range(4 - ranks, 4))) for ranks in (1, 2, 3)} | {4: None}
    found = {}
    for ranks, group in groups.items():  # rings of the last ranks: elsewhere a place in the ring is not the rank
        if dist.get_rank() >= 4 - ranks:
            found[ranks] = [part(*case, group=group) for case in cases[ranks]]
    found["shards"] = [ring_attention(*(x.chunk(4, dim=-2)[dist.get_rank()] for x in case)) for case in shards]
    found["refused"] = refusals(groups[2])
    found["events"] = [events(causal) for causal in (False, True)]
    found["saved"] = saved()
    return found


def refusals(last_two):
    """The messages of calls that a rank, or all of them, must refuse; None where nothing was refused."""
    rank, found = dist.get_rank(), {}
    x = torch.zeros(1, 4, 3)
    calls = {
        "length": lambda: ring_attention(torch.zeros(1, 4 + 2 * rank, 3), x, x),
        "causal": lambda: ring_attention(x, x, x, causal=rank == 0),
        "dtype": lambda: ring_attention(*[x.double() if rank == 3 else x] * 3),
        "gradients": lambda: ring_attention(x.clone().requires_grad_(rank == 1), x, x),
        "axes": lambda: ring_attention(*[x.view(1, 1, 1, 4, 3) if rank == 2 else x.view(1, 1, 4, 3)] * 3),
        "leading": lambda: ring_attention(*[x.expand(2 if rank == 1 else 1, 1, 1, 4, 3)] * 3),
        "odd": lambda: ring_attention(x[:, :3], x[:, :3], x[:, :3], causal=True),
        "size": lambda: ring_attention(x, x[..., :2], x),
        "heads": lambda: ring_attention(x.view(1, 4, 1, 3), x.view(1, 4, 1, 3)[:, :3], x.view(1, 4, 1, 3)[:, :3]),
        "member": lambda: ring_attention(x, x, x, group=last_two),
    }
    for name, call in calls.items():
        try:
            call()
            found[name] = None
        except ValueError as error:
            found[name] = str(error)
    return found


def events(causal):
    """What a rank does forward and backward, in order: messages begun and awaited, pairs of query and key."""
    seen, exchange, attend = [], ring._Ring.exchange, ring.partial_attention

    def watched_exchange(self, tensors, place, what):
        seen.append(f"begin {what}")
        wait = exchange(self, tensors, place, what)
        return lambda: (seen.append(f"await {what}"), wait())[1]

    def watched_attend(query, key, value, *, causal):
        n, m = query.shape[-2], key.shape[-2]
        seen.append(n * (n + 1) // 2 if causal else n * m)
        return attend(query, key, value, causal=causal)

    try:
        ring._Ring.exchange, ring.partial_attention = watched_exchange, watched_attend
        part(*torch.ones(4, 1, 32, 2), causal)
    finally:
        ring._Ring.exchange, ring.partial_attention = exchange, attend
    return seen


def saved():
    """How many numbers are kept for the way back."""
    x = [t.requires_grad_() for t in torch.ones(3, 1, 8, 4)]
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        output = ring_attention(*x, causal=True)
    output.sum().backward()
    return sum(sizes)


def dies_at(case, computation):
    """Rank 1 ends within its computation of that number, forward and backward counted. The others time their wait."""
    rank, attend, count, begin = dist.get_rank(), ring.partial_attention, 0, time.monotonic()

    def last(*args, **options):
        nonlocal count
        count += 1
        if count == computation:
            time.sleep(1.0)  # what it has begun to send arrives
            os._exit(7)
        return attend(*args, **options)

    if rank == 1:
        ring.partial_attention = last
    inputs = [split(x, rank, dist.get_world_size()).requires_grad_() for x in case[:3]]
    try:
        torch.autograd.grad(ring_attention(*inputs).sum(), inputs)
    except RuntimeError as error:
        error.seconds = time.monotonic() - begin
        raise


def first_sleeps():
    """Rank 0 is there and does not answer."""
    x = torch.zeros(1, 4, 3)
    if dist.get_rank() == 0:
        time.sleep(3600)
    return ring_attention(x, x, x)
