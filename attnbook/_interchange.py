"""Weights of multi-head attention from and to PyTorch's own module."""

import torch
from torch import Tensor, nn


def from_torch(layer_class: type[nn.Module], module: nn.MultiheadAttention) -> nn.Module:
    """A layer of layer_class, `MultiHeadAttention`, with a copy of the module's weights."""
    if not isinstance(module, nn.MultiheadAttention):
        raise TypeError(f"module must be a torch.nn.MultiheadAttention; got {type(module).__name__}")
    for name, size in (("kdim", module.kdim), ("vdim", module.vdim)):
        if size != module.embed_dim:
            raise ValueError(f"module must have {name} equal to embed_dim = {module.embed_dim}; got {size}")
    if module.bias_k is not None:
        raise ValueError("module must have add_bias_kv=False; got True")
    if module.add_zero_attn:
        raise ValueError("module must have add_zero_attn=False; got True")
    biased = module.in_proj_bias is not None
    layer = layer_class(module.embed_dim, module.num_heads, bias=biased, dropout=module.dropout)
    layer.to(module.in_proj_weight.device, module.in_proj_weight.dtype).train(module.training)
    with torch.no_grad():
        for ours, theirs in _pairs(layer, module):
            ours.copy_(theirs)
    return layer


def to_torch(layer: nn.Module) -> nn.MultiheadAttention:
    """PyTorch's module with a copy of the layer's weights."""
    d_model, n_heads, d_head, weight = layer.d_model, layer.n_heads, layer.d_head, layer.q_proj.weight
    if layer.n_kv_heads != n_heads:
        raise ValueError(f"n_kv_heads must be n_heads = {n_heads} for PyTorch's module; got {layer.n_kv_heads}")
    if n_heads * d_head != d_model:
        raise ValueError(f"d_head must be d_model / n_heads = {d_model} / {n_heads} for PyTorch's module; got {d_head}")
    if layer.rotary is not None:
        raise ValueError(f"rotary must be None for PyTorch's module; got {type(layer.rotary).__name__}")
    options = {"dropout": layer.dropout, "bias": layer.q_proj.bias is not None, "batch_first": True}
    module = nn.MultiheadAttention(d_model, n_heads, **options, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        for ours, theirs in _pairs(layer, module):
            theirs.copy_(ours)
    return module.train(layer.training)


def _pairs(layer: nn.Module, module: nn.MultiheadAttention) -> list[tuple[Tensor, Tensor]]:
    """Our parameters beside PyTorch's, which stacks the three input projections in one matrix: rows of q, k, then v."""
    inward = (layer.q_proj, layer.k_proj, layer.v_proj)
    pairs = list(zip((p.weight for p in inward), module.in_proj_weight.chunk(3), strict=True))
    pairs.append((layer.out_proj.weight, module.out_proj.weight))
    if layer.q_proj.bias is not None:
        pairs += zip((p.bias for p in inward), module.in_proj_bias.chunk(3), strict=True)
        pairs.append((layer.out_proj.bias, module.out_proj.bias))
    return pairs
