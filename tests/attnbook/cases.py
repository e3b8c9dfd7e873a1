"""Random attention problems for hypothesis: shapes, heads, masks, biases, causality and scale in any combination."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from attnbook import attention, masks, scaled_dot_product_attention
from attnbook.scores import dot


@dataclass
class Case:
    """The arguments of one call."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    bias: torch.Tensor | None
    causal: bool
    scale: float | None

    def learned(self):
        tensors = [self.query, self.key, self.value, *([] if self.bias is None else [self.bias])]
        return [x for x in tensors if x.requires_grad]

    def readable(self):
        """Output and weights of the definition, with causality as a mask and the scale in the score."""
        mask = self.mask
        if self.causal:
            past = masks.causal(self.query.shape[-2], self.key.shape[-2], device=self.query.device)
            mask = past if mask is None else mask & past
        scale = self.query.shape[-1] ** -0.5 if self.scale is None else self.scale
        score = lambda q, k: dot(q, k) * scale  # noqa: E731
        return attention(self.query, self.key, self.value, score=score, mask=mask, bias=self.bias)

    def fused(self):
        options = {"mask": self.mask, "bias": self.bias, "causal": self.causal, "scale": self.scale}
        return scaled_dot_product_attention(self.query, self.key, self.value, **options)


def divisors(number):
    return [d for d in range(1, number + 1) if number % d == 0]


def part_of(draw, axes):
    """The same axes, some of them of size 1, some of the first ones left out."""
    kept = axes[draw(st.integers(0, len(axes))) :]
    return tuple(draw(st.sampled_from([1, a])) for a in kept)


@st.composite
def cases(draw, *, device="cpu", dtype=torch.float64, least=0, spread=2.0):
    """A Case; `least` is the smallest number of queries and keys."""
    n, m = draw(st.integers(least, 6)), draw(st.integers(least, 6))
    d_k, d_v = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    if draw(st.booleans()):  # heads in groups
        heads = draw(st.sampled_from([2, 4, 6]))
        batch = tuple(draw(st.lists(st.integers(1, 2), min_size=1, max_size=2)))
        q_axes = (*batch, heads)
        k_axes, v_axes = (
            (*(draw(st.sampled_from([1, a])) for a in batch), draw(st.sampled_from(divisors(heads)))) for _ in range(2)
        )
        score_axes = q_axes
    else:
        axes = tuple(draw(st.lists(st.integers(0 if least == 0 else 1, 3), max_size=5)))
        q_axes, k_axes, v_axes = (part_of(draw, axes) for _ in range(3))
        score_axes = torch.broadcast_shapes(q_axes, k_axes)

    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))

    def normal(*shape):
        return (spread * torch.randn(shape, generator=generator, dtype=torch.float64)).to(device, dtype)

    mask = bias = None
    if draw(st.booleans()):
        shape = part_of(draw, (*score_axes, n, m))
        mask = (torch.rand(shape, generator=generator) < draw(st.sampled_from([0.1, 0.5, 0.9]))).to(device)
    if draw(st.booleans()):
        bias = normal(*part_of(draw, (*score_axes, n, m)))
        if draw(st.booleans()):
            bias = bias.masked_fill((torch.rand(bias.shape, generator=generator) < 0.4).to(device), -torch.inf)
        bias.requires_grad_(draw(st.booleans()))
    q, k, v = (
        normal(*axes, *last).requires_grad_()
        for axes, last in ((q_axes, (n, d_k)), (k_axes, (m, d_k)), (v_axes, (m, d_v)))
    )
    return Case(q, k, v, mask, bias, draw(st.booleans()), draw(st.sampled_from([None, None, 1.0, 0.3, 0.0, -0.7])))
