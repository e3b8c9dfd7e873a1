"""The Transformer with one part taken out: each function changes a freshly built model and returns it.

The package itself has no switches for this: a part is replaced by one that does nothing, so that all the rest, and what
trains and decodes it, stays as it is.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnbook.multihead import MultiHeadAttention
from attnbook.transformer import FeedForward, Residual, Transformer


class Nothing(nn.Module):
    """Takes the place of a part whose output is added to its input: x + 0 = x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class NoAttention(nn.Module):
    """Takes the place of an attention: it adds nothing and has no weights."""

    def forward(self, query: Tensor, *others: object, **options: object) -> tuple[Tensor, None]:
        return torch.zeros_like(query), None


class SeesAhead(nn.Module):
    """An attention that is asked for a causal mask and uses none."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, *, causal: bool, **options: object) -> tuple[Tensor, Tensor | None]:
        return self.attention(x, causal=False, **options)


class OnlyTheChange(nn.Module):
    """A residual connection cut: a part's output alone goes on, and what the part has read is lost."""

    def __init__(self, residual: Residual) -> None:
        super().__init__()
        self.residual = residual

    def read(self, x: Tensor) -> Tensor:
        return self.residual.read(x)

    def add(self, x: Tensor, change: Tensor) -> Tensor:
        return self.residual.add(torch.zeros_like(x), change)


def replace(model: nn.Module, kind: type[nn.Module], new: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Put new(module) in the place of every module of that kind."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, new(child))
    return model


def without_residual(model: Transformer) -> Transformer:
    """Layers hand on what their parts compute, not the sum with what came in."""
    return replace(model, Residual, OnlyTheChange)


def without_layer_norm(model: Transformer) -> Transformer:
    """No vector is brought to a common scale."""
    return replace(model, nn.LayerNorm, lambda _: nn.Identity())


def without_feed_forward(model: Transformer) -> Transformer:
    """Layers of attention alone."""
    return replace(model, FeedForward, lambda _: Nothing())


def without_positions(model: Transformer) -> Transformer:
    """The encoder sees a bag of letters. (The decoder can count: its first position sees one key, the next two.)"""
    model.source_embedding.positions = model.target_embedding.positions = None
    return model


def without_causal_mask(model: Transformer) -> Transformer:
    """In training each target position sees the whole target, the symbol that it has to predict included."""
    for layer in model.decoder.layers:
        layer.self_attention = SeesAhead(layer.self_attention)
    return model


def without_cross_attention(model: Transformer) -> Transformer:
    """The decoder never hears of the source."""
    for layer in model.decoder.layers:
        layer.cross_attention = NoAttention()
    return model


def without_scale(model: Transformer) -> Transformer:
    """Scores q·k instead of q·k / sqrt(d_head): the queries are multiplied by what the scores are divided by."""
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            factor = math.sqrt(module.d_head)
            module.q_proj.register_forward_hook(lambda _, __, query, factor=factor: query * factor)
    return model
