"""The same numbers as PyTorch's and Keras's own layers, outputs, weights and gradients."""

import keras
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as pytorch

from attnbook import attention, masks, scaled_dot_product_attention
from attnbook.scores import Additive, dot
from tests.attnbook.reference import inputs

# Keras has not followed NumPy 2 there yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# PyTorch and Keras disagree with us, and with each other, about rows with nothing to attend to: every row sees a key.
LENGTHS = torch.tensor([7, 3])


def visible(n, m, device):
    mask = torch.rand(2, 1, n, m, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[..., 0] = True
    return mask.to(device)


@pytest.mark.parametrize("option", ["nothing", "mask", "bias", "causal", "groups", "scale"])
def test_pytorch_scaled_dot_product_attention(option, device):
    query, key, value = inputs((2, 6, 7, 5), (2, 6, 7, 5), (2, 6, 7, 4), device=device, grad=True)
    (bias,) = inputs((6, 7, 7), seed=1, device=device, grad=True)
    ours, theirs = {}, {}
    if option == "mask":
        ours = {"mask": visible(7, 7, device)}
        theirs = {"attn_mask": ours["mask"]}
    elif option == "bias":
        ours, theirs = {"bias": bias}, {"attn_mask": bias}
    elif option == "causal":
        ours, theirs = {"mask": masks.causal(7, device=device)}, {"is_causal": True}
    elif option == "groups":
        key, value, theirs = key[:, :3], value[:, :3], {"enable_gqa": True}
    elif option == "scale":
        ours, theirs = {"score": lambda q, k: 0.2 * dot(q, k)}, {"scale": 0.2}
    expected = pytorch(query, key, value, **theirs)
    actual, _ = attention(query, key, value, **ours)
    torch.testing.assert_close(actual, expected, atol=1e-13, rtol=0)
    learned = [query, key, value, bias]
    exact = torch.autograd.grad(expected.square().sum(), learned, allow_unused=True, materialize_grads=True)
    found = torch.autograd.grad(actual.square().sum(), learned, allow_unused=True, materialize_grads=True)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


@pytest.mark.parametrize("padded", [False, True])
def test_pytorch_multihead_attention(padded, device):
    """With its own projections around our core. Its masks say True where attention is NOT allowed."""
    layer = nn.MultiheadAttention(12, 3, batch_first=True, device=device, dtype=torch.float64)
    nn.init.normal_(layer.in_proj_bias)
    query, key, value = inputs((2, 5, 12), (2, 7, 12), (2, 7, 12), device=device, grad=True)
    past, shown = masks.causal(5, 7, device=device), masks.padding(LENGTHS.to(device), 7)
    past = past | (torch.arange(7, device=device) == 0)
    expected, expected_weights = layer(
        query,
        key,
        value,
        attn_mask=~past,
        key_padding_mask=~shown[:, 0, 0] if padded else None,
        average_attn_weights=False,
    )

    projections = zip((query, key, value), layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True)
    q, k, v = ((x @ w.T + b).unflatten(-1, (3, 4)).transpose(1, 2) for x, w, b in projections)
    mask = past & shown if padded else past
    output, weights = attention(q, k, v, mask=mask)
    torch.testing.assert_close(weights, expected_weights, atol=1e-13, rtol=0)
    fused = scaled_dot_product_attention(q, k, v, mask=mask)
    learned = [query, key, value, layer.in_proj_weight, layer.in_proj_bias]
    exact = torch.autograd.grad(expected.square().sum(), learned)
    for heads in (output, fused):
        joined = layer.out_proj(heads.transpose(1, 2).flatten(2))
        torch.testing.assert_close(joined, expected, atol=1e-13, rtol=0)
        found = torch.autograd.grad(joined.square().sum(), learned, retain_graph=True)
        for a, b in zip(found, exact, strict=True):
            torch.testing.assert_close(a, b, atol=1e-11, rtol=0)


def keras_inputs():
    """Keras keeps its layers where its backend likes them: compare on the CPU, in float32."""
    return inputs((2, 7, 5), (2, 7, 5), (2, 7, 4), dtype=torch.float32)


def run_keras(layer, query, key, value, **options):
    with keras.device("cpu"):
        output, weights = layer([query, value, key], return_attention_scores=True, **options)  # query, VALUE, key
    return output.detach(), weights.detach()


def same_as_keras(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_keras_attention(causal, padded):
    query, key, value = keras_inputs()
    shown = masks.padding(LENGTHS)[:, 0]
    mask = torch.ones(2, 7, 7, dtype=torch.bool)
    mask = mask & shown if padded else mask
    mask = mask & masks.causal(7) if causal else mask
    layer = keras.layers.Attention()
    theirs = run_keras(layer, query, key, value, mask=[None, shown[:, 0]] if padded else None, use_causal_mask=causal)
    same_as_keras(attention(query, key, value, score=dot, mask=mask), theirs)


def test_keras_attention_with_a_scale():
    query, key, value = keras_inputs()
    layer = keras.layers.Attention(use_scale=True)
    layer.build([query.shape, value.shape, key.shape])
    layer.set_weights([np.float32(5**-0.5)])
    theirs = run_keras(layer, query, key, value)
    same_as_keras(attention(query, key, value), theirs)


def identity_additive(v):
    """Additive attention with W_q = W_k = I, which is what Keras computes."""
    score = Additive(5, 5, 5)
    with torch.no_grad():
        score.W_q.weight.copy_(torch.eye(5))
        score.W_k.weight.copy_(torch.eye(5))
        score.v.weight.copy_(v)
    return score


@pytest.mark.parametrize("use_scale", [False, True])
def test_keras_additive_attention(use_scale):
    query, key, value = keras_inputs()
    layer = keras.layers.AdditiveAttention(use_scale=use_scale)
    layer.build([query.shape, value.shape, key.shape])
    v = torch.linspace(-2, 2, 5) if use_scale else torch.ones(5)
    if use_scale:
        layer.set_weights([v.numpy()])
    mask = masks.padding(LENGTHS)[:, 0]
    theirs = run_keras(layer, query, key, value, mask=[None, mask[:, 0]])
    same_as_keras(attention(query, key, value, score=identity_additive(v), mask=mask), theirs)


def test_keras_grouped_query_attention():
    """6 query heads, 3 key heads: which query heads share a key head is part of the definition."""
    with keras.device("cpu"):
        layer = keras.layers.GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=3, use_bias=False)
        (x,) = inputs((2, 7, 8), dtype=torch.float32)
        expected, expected_weights = layer(x, x, return_attention_scores=True)
    w_q, w_k, w_v, w_o = (torch.as_tensor(w) for w in layer.get_weights())  # (d_model, heads, dim); out (heads, dim, d)
    q, k, v = (torch.einsum("bnd,dhe->bhne", x, w) for w in (w_q, w_k, w_v))
    output, weights = attention(q, k, v)
    same_as_keras((weights,), (expected_weights.detach(),))
    for heads in (output, scaled_dot_product_attention(q, k, v)):
        same_as_keras((torch.einsum("bhne,hed->bnd", heads, w_o),), (expected.detach(),))
