"""Ring attention beside attention in one process.

torchrun --nproc-per-node 4 -m attnbook.ring_check    prints the largest differences; on GPUs with NCCL
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from attnbook import masks
from attnbook.attention import attention
from attnbook.ring import Traffic, join, ring_attention, split


class Part(NamedTuple):
    """What one rank has computed: its part of the output and of the gradients, and what it has sent for each."""

    output: Tensor
    grads: tuple[Tensor, ...]
    forward: Traffic
    backward: Traffic


def part(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    upstream: Tensor,
    causal: bool,
    dies: int | None = None,
    group: dist.ProcessGroup | None = None,
) -> Part:
    """On each rank of a process group: the whole sequence comes in, this rank's part goes out.

    upstream: the gradient of the output. dies: a rank that ends as soon as the others are waiting for it.
    group: as in `ring_attention`.
    """
    rank, ranks = dist.get_rank(group), dist.get_world_size(group)
    query, key, value, upstream = (split(x, rank, ranks) for x in (query, key, value, upstream))
    inputs = [x.requires_grad_() for x in (query, key, value)]
    dist.barrier(group)
    if rank == dies:
        os._exit(1)
    traffic = Traffic()
    output = ring_attention(*inputs, causal=causal, group=group, traffic=traffic)
    forward = Traffic(traffic.messages, traffic.bytes)
    grads = torch.autograd.grad(output, inputs, upstream)
    backward = Traffic(traffic.messages - forward.messages, traffic.bytes - forward.bytes)
    return Part(output.detach(), grads, forward, backward)


def whole(parts: Sequence[Part]) -> tuple[Tensor, ...]:
    """Output and gradients of the sequence, from those of all ranks."""
    return tuple(join(every) for every in zip(*((p.output, *p.grads) for p in parts), strict=True))


def in_one_process(query: Tensor, key: Tensor, value: Tensor, upstream: Tensor, causal: bool) -> tuple[Tensor, ...]:
    """The same by the definition."""
    inputs = [x.detach().clone().requires_grad_() for x in (query, key, value)]
    mask = masks.causal(query.shape[-2], device=query.device) if causal else None
    output, _ = attention(*inputs, mask=mask)
    return (output.detach(), *torch.autograd.grad(output, inputs, upstream))


def main() -> None:
    """On each rank that torchrun starts."""
    gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if gpu else "gloo")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    rank, ranks = dist.get_rank(), dist.get_world_size()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(1, 4, 128 * ranks, 32, generator=generator).to(device) for _ in range(4)]
    for causal in (False, True):
        found = part(*inputs, causal)
        expected = [split(x, rank, ranks) for x in in_one_process(*inputs, causal)]
        differences = [(a - b).abs().max() for a, b in zip((found.output, *found.grads), expected, strict=True)]
        largest = torch.stack(differences)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        if rank == 0:
            names = ("output", "of queries", "of keys", "of values")
            line = ", ".join(f"{name} {x:.1e}" for name, x in zip(names, largest.tolist(), strict=True))
            print(f"{ranks} ranks, causal {causal}: largest difference {line}", flush=True)
        assert largest.max() < 1e-5
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
