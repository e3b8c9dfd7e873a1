"""ALiBi against transformers' Bloom, and the paper's own numbers."""

import math

import numpy as np
import pytest
import torch
from transformers import BloomConfig
from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor

from attnbook import attention, masks
from attnbook.positions import alibi, alibi_slopes
from tests.attnbook.reference import inputs

HEADS = [1, 2, 3, 5, 6, 7, 8, 12, 16, 20, 32, 40]


@pytest.mark.parametrize("n_heads", HEADS)
def test_slopes_against_bloom(n_heads, device):
    theirs = build_alibi_tensor(torch.ones(1, 2), n_heads, torch.float32)[:, 0, 1]
    ours = alibi_slopes(n_heads, device=device)
    assert ours.shape == (n_heads,) and ours.device.type == device.type
    torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-6, atol=0)


def test_the_paper_s_slopes():
    assert alibi_slopes(8).tolist() == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    np.testing.assert_allclose(alibi_slopes(16), [2 ** (-k / 2) for k in range(1, 17)], rtol=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("n", "m"), [(4, None), (4, 4), (2, 5), (1, 6), (3, 2)])
def test_each_number(n, m, symmetric, device):
    keys = n if m is None else m
    bias = alibi(4, n, m, symmetric=symmetric, device=device)
    assert bias.shape == (4, n, keys) and bias.device.type == device.type
    for h, i, j in np.ndindex(4, n, keys):
        back = i + keys - n - j
        assert bias[h, i, j].item() == -(2 ** (-2 * (h + 1))) * (abs(back) if symmetric else back)


@pytest.mark.parametrize("n_heads", [1, 3, 8])
@pytest.mark.parametrize("n", [9, 2, 1])
def test_weights_are_bloom_s(n_heads, n, device):
    """Bloom adds slope · j: another number in each row, the same weights."""
    query, key, value = inputs((2, n_heads, n, 4), (2, n_heads, 9, 4), (2, n_heads, 9, 4), device=device)
    theirs = build_alibi_tensor(torch.ones(2, 9), n_heads, torch.float64).view(2, n_heads, 1, 9).to(device)
    mask = masks.causal(n, 9, device=device)
    bias = alibi(n_heads, n, 9, device=device)
    if n > 1:
        assert (bias - theirs[0]).abs().max() > 0.01
    ours = attention(query, key, value, bias=bias, mask=mask)
    expected = attention(query, key, value, bias=theirs, mask=mask)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)  # their slopes are rounded to float32


def test_a_layer_of_bloom(device):
    layer = BloomAttention(
        BloomConfig(hidden_size=12, n_head=3, hidden_dropout=0.0, attention_dropout=0.0), layer_idx=0
    )
    layer = layer.to(device, torch.float64).eval()
    (x,) = inputs((2, 9, 12), device=device)
    mask = masks.causal(9, device=device)
    hidden = torch.zeros(1, 1, 9, 9, device=device, dtype=x.dtype).masked_fill(~mask, -math.inf)
    theirs = build_alibi_tensor(torch.ones(2, 9, device=device), 3, torch.float64)
    expected = layer(x, torch.zeros_like(x), theirs, hidden)[0]
    q, k, v = layer.query_key_value(x).unflatten(-1, (3, 3, 4)).permute(3, 0, 2, 1, 4)  # (batch, length, heads, 3, dim)
    output, _ = attention(q, k, v, bias=alibi(3, 9, device=device), mask=mask)
    torch.testing.assert_close(layer.dense(output.transpose(1, 2).flatten(2)), expected, atol=1e-6, rtol=0)


def test_fewer_queries_give_the_last_rows():
    for symmetric in (False, True):
        assert torch.equal(alibi(3, 2, 7, symmetric=symmetric), alibi(3, 7, symmetric=symmetric)[:, -2:])


def test_symmetric_is_the_same_before_the_query_and_mirrored_after_it():
    causal, both = alibi(5, 6), alibi(5, 6, symmetric=True)
    past = masks.causal(6)
    assert torch.equal(causal[:, past], both[:, past])
    assert torch.equal(both, both.mT) and (both <= 0).all() and (causal[:, ~past] > 0).all()
