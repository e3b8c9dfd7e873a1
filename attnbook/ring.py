"""Ring attention: exact attention over a sequence that is split across processes.

Each of P processes, the *ranks* 0 to P - 1, holds the queries, keys and values of its own positions. Keys and values go
round: in each of P steps a rank attends to those that it has, while it sends them to the next rank and receives the
next ones from the one before. The parts are merged by their log-sum-exp (`attnbook.tiled.merge`). Backward, keys and
values go round once more, and their gradients travel with them until they are home.

With causal attention and contiguous shards the last rank would have most of the work. So the sequence is cut into 2 P
pieces, and rank r holds piece r and piece 2 P - 1 - r: all ranks have the same work in every step.

Axes: n positions of one rank, d_k the size of a query and a key, d_v the size of a value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attnbook._heads import leading_shape
from attnbook._validation import check_dim, check_flag, check_size, shape
from attnbook.attention import Key, Output, Value, check_inputs
from attnbook.scores import widen
from attnbook.tiled import merge, partial_attention


@dataclass
class Traffic:
    """What one rank has sent of keys, values and their gradients."""

    messages: int = 0
    bytes: int = 0


def split(x: Tensor, rank: int, ranks: int, *, dim: int = -2) -> Tensor:
    """The part of x that a rank holds: pieces `rank` and 2 ranks - 1 - `rank` of 2 ranks equal ones along `dim`."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a torch.Tensor; got {type(x).__name__}")
    check_size("ranks", ranks, least=1)
    check_size("rank", rank)
    if rank >= ranks:
        raise ValueError(f"rank must be less than ranks = {ranks}; got {rank}")
    if x.shape[dim] % (2 * ranks):
        raise ValueError(f"x must have a multiple of {2 * ranks} positions along axis {dim}; got shape {shape(x)}")
    pieces = x.chunk(2 * ranks, dim=dim)
    return torch.cat([pieces[rank], pieces[2 * ranks - 1 - rank]], dim=dim)


def join(parts: Sequence[Tensor], *, dim: int = -2) -> Tensor:
    """The whole from the parts of all ranks, in their order: what `split` took apart."""
    shapes = {tuple(part.shape) for part in parts}
    if len(shapes) != 1 or parts[0].shape[dim] % 2:
        raise ValueError(f"parts must have one shape, its axis {dim} even; got shapes {sorted(shapes)}")
    halves = [part.chunk(2, dim=dim) for part in parts]
    return torch.cat([first for first, _ in halves] + [second for _, second in reversed(halves)], dim=dim)


def ring_attention(
    query: Float[Tensor, "... n d_k"],
    key: Key,
    value: Value,
    *,
    causal: bool = False,
    group: dist.ProcessGroup | None = None,
    traffic: Traffic | None = None,
) -> Output:
    """This rank's part of `attention` over the positions of all ranks; to be called by all of them at once.

    query, key, value: this rank's part, of the same shape on each; with causal, as `split` cuts it. group: the
    processes, all if None. traffic: counts what this rank sends.
    Shapes, heads and errors: as `attention`; in addition ValueError for parts that differ from rank to rank, and
    RuntimeError without a process group or, with gloo, when another rank is lost, which is noticed after the group's
    timeout at the latest. (NCCL ends the process itself then.)
    Source: Liu et al. (2023); Brandon et al. (2023) for the balance, in the form of two pieces a rank.
    """
    check_inputs(query, key, value)
    check_dim("key", key, query.shape[-1], "the size of the query, as the two are multiplied")
    leading = leading_shape(query, key=key, value=value)  # an error before anything is sent
    check_flag("causal", causal)
    if not dist.is_initialized():
        raise RuntimeError("ring_attention needs a process group: call torch.distributed.init_process_group first")
    if causal and (query.shape[-2] != key.shape[-2] or query.shape[-2] % 2):
        raise ValueError(f"query must have as many positions as key, an even number, where causal; got {shape(query)}")
    ring = _Ring(group, Traffic() if traffic is None else traffic)
    if ring.rank < 0:
        raise ValueError(f"group must have this process as a member; rank {dist.get_rank()} is not in it")
    ring.check_same(query, key, value, causal)
    wide = query.expand(*leading, *query.shape[-2:])
    output = _RingAttention.apply(widen(wide), widen(key), widen(value), causal, ring)
    return output.to(query.dtype)


def _seen(query: Tensor, key: Tensor, source: int, rank: int, causal: bool) -> tuple[slice, slice, bool]:
    """Which of this rank's queries see which keys of rank `source`, and whether with a causal mask among them."""
    every = slice(None)
    if not causal or source == rank:
        return every, every, causal
    half = key.shape[-2] // 2
    return (every, slice(half), False) if source < rank else (slice(half, None), every, False)


class _RingAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, causal, ring):
        output = query.new_zeros(*query.shape[:-1], value.shape[-1])
        lse = query.new_full(query.shape[:-1], -torch.inf)
        held = key, value
        for step in range(ring.ranks):
            source = (ring.rank - step) % ring.ranks
            coming = ring.exchange(held, f"step {step + 1}", "keys and values") if step < ring.ranks - 1 else None
            rows, columns, mask = _seen(query, key, source, ring.rank, causal)
            k, v = (x[..., columns, :] for x in held)
            part = partial_attention(query[..., rows, :], k, v, causal=mask)
            both = merge(*zip((output[..., rows, :], lse[..., rows]), part, strict=True))
            output[..., rows, :], lse[..., rows] = both
            held = coming() if coming else held
        ctx.save_for_backward(query, key, value, output, lse)
        ctx.causal, ctx.ring = causal, ring
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        query, key, value, output, lse = ctx.saved_tensors
        ring, held = ctx.ring, (key, value)
        grad_query = torch.zeros_like(query)
        travelling = None  # the gradients of the keys and values that come with the next step
        for step in range(ring.ranks):
            source = (ring.rank - step) % ring.ranks
            place = f"backward, step {step + 1}"
            coming = ring.exchange(held, place, "keys and values") if step < ring.ranks - 1 else None
            rows, columns, mask = _seen(query, key, source, ring.rank, ctx.causal)
            with torch.enable_grad():
                q = query[..., rows, :].detach().requires_grad_()
                k, v = (x[..., columns, :].detach().requires_grad_() for x in held)
                part, part_lse = partial_attention(q, k, v, causal=mask)
            # merge is attention over parts: a part enters with weight exp(its lse - lse of all).
            weight = (part_lse.detach() - lse[..., rows]).exp().unsqueeze(-1)
            weighted = weight * grad_output[..., rows, :]
            of_lse = (weighted * (part.detach() - output[..., rows, :])).sum(dim=-1)
            grads = torch.autograd.grad((part, part_lse), (q, k, v), (weighted, of_lse))
            grad_query[..., rows, :] += grads[0]
            sums = travelling() if travelling else tuple(torch.zeros_like(x) for x in held)
            for total, grad in zip(sums, grads[1:], strict=True):
                total[..., columns, :] += grad
            travelling = ring.exchange(sums, place, "gradients")
            held = coming() if coming else held
        return grad_query, *travelling(), None, None


class _Ring:
    """This process's place in the ring, and its messages."""

    def __init__(self, group: dist.ProcessGroup | None, traffic: Traffic) -> None:
        self.group, self.traffic = group, traffic
        self.rank, self.ranks = dist.get_rank(group), dist.get_world_size(group)
        self.next, self.before = (self.rank + 1) % self.ranks, (self.rank - 1) % self.ranks

    def exchange(self, tensors: Sequence[Tensor], place: str, what: str) -> Callable[[], tuple[Tensor, ...]]:
        """Begin to send these to the next rank; the result, when called, waits for those of the rank before."""
        if self.ranks == 1:
            return lambda: tuple(tensors)
        sent = torch.cat([x.flatten() for x in tensors])
        received = torch.empty_like(sent)
        ends = (dist.isend, sent, self.next), (dist.irecv, received, self.before)
        try:
            work = dist.batch_isend_irecv([dist.P2POp(do, x, self._global(peer), self.group) for do, x, peer in ends])
        except RuntimeError as error:
            raise RuntimeError(self._lost(f"{place} of {self.ranks}", what)) from error
        self.traffic.messages += 1
        self.traffic.bytes += sent.numel() * sent.element_size()

        def wait(_kept: Tensor = sent) -> tuple[Tensor, ...]:  # its memory must not be used again before
            try:
                for one in work:
                    one.wait()
            except RuntimeError as error:
                raise RuntimeError(self._lost(f"{place} of {self.ranks}", what)) from error
            parts = received.split([x.numel() for x in tensors])
            return tuple(part.view(x.shape) for part, x in zip(parts, tensors, strict=True))

        return wait

    def check_same(self, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> None:
        """All ranks have parts of one kind: otherwise a rank would wait for bytes that never come."""
        parts = query, key, value
        backward = torch.is_grad_enabled() and any(x.requires_grad for x in parts)
        own = [causal, backward, query.element_size()]
        own += [size for x in parts for size in (x.dim(), x.numel(), *x.shape[-4:])]
        own = torch.tensor(own + [0] * (21 - len(own)), device=query.device)
        every = [torch.empty_like(own) for _ in range(self.ranks)]
        try:
            dist.all_gather(every, own, group=self.group)
        except RuntimeError as error:
            raise RuntimeError(self._lost("before the first step", "shapes")) from error
        for rank, other in enumerate(every):
            if not torch.equal(own, other):
                raise ValueError(
                    f"query, key, value and causal must be alike on all ranks; those of rank {rank} differ from rank "
                    f"{self.rank}'s: query {shape(query)}, key {shape(key)}, value {shape(value)}, {query.dtype}, "
                    f"causal {causal}, gradients {backward}"
                )

    def _global(self, peer: int) -> int:
        return peer if self.group is None else dist.get_global_rank(self.group, peer)

    def _lost(self, place: str, what: str) -> str:
        return (
            f"rank {self.rank}, {place}: the exchange of {what} failed; rank {self.before}, from which they come, "
            f"or rank {self.next}, to which they go, has ended or does not answer"
        )
