"""PyTorch's own layers with random weights, and ours with a copy of them."""

import torch
from torch import nn

from attnbook.transformer import Decoder, DecoderLayer, Encoder, EncoderLayer


def randomize(module: nn.Module) -> nn.Module:
    """Every parameter random, so that none is 0 or 1 by default, as biases and layer norms are; in float64."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4 + 0.1)
    return module


def options(theirs: nn.Module) -> dict[str, object]:
    """What a layer of ours must be built with to compute the same."""
    relu = theirs.activation in (torch.relu, nn.functional.relu)
    return {"norm": "pre" if theirs.norm_first else "post", "activation": "relu" if relu else "gelu"}


def pairs(ours: nn.Module, theirs: nn.Module, grad: bool = False) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter of our layer (or its gradient) beside PyTorch's."""

    def of(parameter):
        return parameter.grad if grad else parameter

    decoder = isinstance(ours, DecoderLayer)
    found = []
    attentions = [(ours.self_attention, theirs.self_attn)]
    norms = [ours.after_self_attention.norm]
    if decoder:
        attentions.append((ours.cross_attention, theirs.multihead_attn))
        norms.append(ours.after_cross_attention.norm)
    norms.append(ours.after_feed_forward.norm)
    for own, other in attentions:
        for i, name in enumerate(("q_proj", "k_proj", "v_proj")):
            projection = getattr(own, name)
            found.append((of(projection.weight), of(other.in_proj_weight).chunk(3)[i]))
            found.append((of(projection.bias), of(other.in_proj_bias).chunk(3)[i]))
        found += same(own.out_proj, other.out_proj, of)
    for i, norm in enumerate(norms):
        found += same(norm, getattr(theirs, f"norm{i + 1}"), of)
    found += same(ours.feed_forward.W_1, theirs.linear1, of) + same(ours.feed_forward.W_2, theirs.linear2, of)
    return found


def same(own: nn.Module, other: nn.Module, of=lambda parameter: parameter) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(of(own.weight), of(other.weight)), (of(own.bias), of(other.bias))]


def copied_layer(theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> nn.Module:
    """Our layer with the weights of PyTorch's."""
    kind = EncoderLayer if isinstance(theirs, nn.TransformerEncoderLayer) else DecoderLayer
    sizes = theirs.self_attn.embed_dim, theirs.self_attn.num_heads, theirs.linear1.out_features
    ours = kind(*sizes, **options(theirs)).double()
    copy(pairs(ours, theirs))
    return ours


def copied_stack(theirs: nn.TransformerEncoder | nn.TransformerDecoder) -> nn.Module:
    """Our stack with the weights of PyTorch's."""
    kind = Encoder if isinstance(theirs, nn.TransformerEncoder) else Decoder
    first = theirs.layers[0]
    sizes = first.self_attn.embed_dim, first.self_attn.num_heads, first.linear1.out_features
    ours = kind(len(theirs.layers), *sizes, **options(first)).double()
    for own, other in zip(ours.layers, theirs.layers, strict=True):
        copy(pairs(own, other))
    if theirs.norm is not None:
        copy(same(ours.norm, theirs.norm))
    return ours


def copy(found: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    with torch.no_grad():
        for own, other in found:
            own.copy_(other)
