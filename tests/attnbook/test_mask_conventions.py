"""Converted masks mean in each library what they mean here; and what each library's True means, one True at a time."""

import keras
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from attnbook import attention, leaks, masks
from attnbook import mask_conventions as to
from tests.attnbook.reference import inputs

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LENGTHS = [5, 2]


def random_mask(*size, device):
    """Every query may see something: what the libraries make of a row with nothing is their own affair."""
    mask = torch.rand(size, generator=torch.Generator().manual_seed(3)) < 0.5
    mask[..., 1] = True
    return mask.to(device)


def heads_of(layer, x):
    """Queries, keys and values of nn.MultiheadAttention for self-attention, (batch, heads, n, d)."""
    projected = x @ layer.in_proj_weight.T + layer.in_proj_bias
    split = (layer.num_heads, layer.head_dim)
    return [part.unflatten(-1, split).transpose(1, 2) for part in projected.chunk(3, dim=-1)]


def self_attention(layer, x, mask):
    """What nn.MultiheadAttention computes, on this package's attention and mask."""
    output, weights = attention(*heads_of(layer, x), mask=mask)
    return layer.out_proj(output.transpose(1, 2).flatten(2)), weights


@pytest.mark.parametrize("size", [(5, 5), (2, 1, 5, 5), (2, 3, 5, 5), (1, 3, 1, 5), (2, 1, 1, 5), (3, 1, 5)])
def test_additive_is_what_pytorch_adds(size, device):
    query, key, value = inputs((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), device=device)
    mask = random_mask(*size, device=device)
    bias = to.to_additive(mask, torch.float64)
    assert bias.shape == mask.shape and bias.dtype == torch.float64
    expected, _ = attention(query, key, value, mask=mask)
    torch.testing.assert_close(attention(query, key, value, bias=bias)[0], expected, atol=1e-13, rtol=0)
    pytorch = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    torch.testing.assert_close(pytorch, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_additive_is_exact_in_every_precision(dtype, device):
    bias = to.to_additive(torch.tensor([True, False], device=device), dtype)
    assert bias.tolist() == [0, float("-inf")] and bias.dtype == dtype


@pytest.mark.parametrize("size", [(5, 5), (2, 1, 5, 5), (2, 3, 5, 5), (2, 3, 1, 5), (2, 1, 1, 5)])
def test_multihead_attention(size, device):
    """With a mask of its own for each head, so that batch and heads cannot change places."""
    layer = nn.MultiheadAttention(12, 3, batch_first=True, device=device, dtype=torch.float64)
    nn.init.normal_(layer.in_proj_bias)
    (x,) = inputs((2, 5, 12), device=device)
    mask = random_mask(*size, device=device)
    theirs = layer(x, x, x, attn_mask=to.to_multihead(mask, heads=3, queries=5), average_attn_weights=False)
    for a, b in zip(self_attention(layer, x, mask), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-13, rtol=0)


def test_multihead_with_fewer_queries_than_keys(device):
    layer = nn.MultiheadAttention(12, 3, batch_first=True, device=device, dtype=torch.float64)
    query, key = inputs((2, 2, 12), (2, 5, 12), device=device)
    mask = masks.causal(2, 5, device=device) & masks.padding(torch.tensor(LENGTHS, device=device))
    _, weights = layer(query, key, key, attn_mask=to.to_multihead(mask, heads=3, queries=2), average_attn_weights=False)
    assert torch.equal(weights > 0, mask.expand(2, 3, 2, 5))


def test_key_padding_mask(device):
    layer = nn.MultiheadAttention(12, 3, batch_first=True, device=device, dtype=torch.float64)
    (x,) = inputs((2, 5, 12), device=device)
    mask = masks.padding(torch.tensor(LENGTHS, device=device))
    theirs = layer(x, x, x, key_padding_mask=to.to_key_padding(mask), average_attn_weights=False)
    for a, b in zip(self_attention(layer, x, mask), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-13, rtol=0)


@pytest.mark.parametrize("train", [True, False])
def test_transformer_encoder_layer(train, device):
    """src_mask and src_key_padding_mask together, in both modes: without gradients eval() takes another path."""
    layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, device=device, dtype=torch.float64)
    layer.train(train)
    (x,) = inputs((2, 5, 12), device=device)
    causal, shown = masks.causal(5, device=device), masks.padding(torch.tensor(LENGTHS, device=device))
    with torch.no_grad():
        actual = layer(
            x, src_mask=to.to_multihead(causal, heads=3, queries=5), src_key_padding_mask=to.to_key_padding(shown)
        )
        after = layer.norm1(x + self_attention(layer.self_attn, x, causal & shown)[0])
        expected = layer.norm2(after + layer.linear2(layer.linear1(after).relu()))
    for b, length in enumerate(LENGTHS):  # the rows of padding are nobody's
        torch.testing.assert_close(actual[b, :length], expected[b, :length], atol=1e-12, rtol=0)


def test_transformer_decoder_layer(device):
    """tgt_mask and memory_mask, with as many heads as they ask for."""
    layer = nn.TransformerDecoderLayer(12, 3, 20, 0.0, batch_first=True, device=device, dtype=torch.float64)
    target, memory = inputs((2, 4, 12), (2, 6, 12), device=device)
    tgt_mask = to.to_multihead(masks.causal(4, device=device), heads=3, queries=4)
    shown = random_mask(2, 1, 4, 6, device=device)
    memory_mask = to.to_multihead(shown, heads=3, queries=4)
    decode = lambda target, memory: layer(target, memory, tgt_mask=tgt_mask, memory_mask=memory_mask)  # noqa: E731
    leaks.assert_mask(lambda x: decode(x, memory), target, masks.causal(4, device=device))
    leaks.assert_mask(lambda x: decode(target, x), memory, shown[:, 0])


@pytest.mark.parametrize("size", [(5, 5), (2, 1, 5, 5)])
def test_keras_multi_head_attention(size):
    with keras.device("cpu"):
        layer = keras.layers.MultiHeadAttention(3, 4, use_bias=False)
        (x,) = inputs((2, 5, 8), dtype=torch.float32)
        mask = random_mask(*size, device="cpu")
        expected, expected_weights = layer(x, x, attention_mask=to.to_keras(mask), return_attention_scores=True)
        fused = layer(x, x, attention_mask=to.to_keras(mask))
    w_q, w_k, w_v, w_o = (torch.as_tensor(w) for w in layer.get_weights())
    q, k, v = (torch.einsum("bnd,dhe->bhne", x, w) for w in (w_q, w_k, w_v))
    output, weights = attention(q, k, v, mask=mask)
    torch.testing.assert_close(weights, expected_weights.detach(), atol=2e-6, rtol=0)
    for theirs in (expected, fused):
        torch.testing.assert_close(torch.einsum("bhne,hed->bnd", output, w_o), theirs.detach(), atol=2e-6, rtol=0)


@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_there_and_back(lengths, device):
    shown = masks.padding(torch.tensor(lengths, device=device), 4)
    rows = [[j < length for j in range(4)] for length in lengths]
    assert to.to_key_padding(shown).tolist() == [[not x for x in row] for row in rows]
    assert to.to_ones(shown).tolist() == [[int(x) for x in row] for row in rows]
    assert to.to_ones(shown).dtype == torch.long
    assert torch.equal(to.from_key_padding(to.to_key_padding(shown)), shown)
    assert torch.equal(to.from_ones(to.to_ones(shown)), shown)
    assert torch.equal(to.from_additive(to.to_additive(shown)), shown)
    assert torch.equal(to.from_additive(to.to_additive(masks.causal(4, device=device))), masks.causal(4, device=device))


ONE_TRUE = torch.tensor([False, False, True, False])  # what token 0 reacts to says what this True means
ATTEND, HIDDEN = {2}, {0, 1, 3}


def pytorch_calls(device):
    rows = ONE_TRUE.to(device).expand(4, 4)
    keys = ONE_TRUE.to(device)[None]
    layer = nn.MultiheadAttention(8, 2, batch_first=True, device=device)
    encoder = nn.TransformerEncoderLayer(8, 2, 8, 0.0, batch_first=True, device=device)
    decoder = nn.TransformerDecoderLayer(8, 2, 8, 0.0, batch_first=True, device=device)
    memory = torch.randn(1, 4, 8).to(device)
    return {
        "attention": (lambda x: attention(x, x, x, mask=rows)[0], ATTEND),
        "scaled_dot_product_attention": (lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=rows), ATTEND),
        "attn_mask": (lambda x: layer(x, x, x, attn_mask=rows)[0], HIDDEN),
        "key_padding_mask": (lambda x: layer(x, x, x, key_padding_mask=keys)[0], HIDDEN),
        "src_mask": (lambda x: encoder(x, src_mask=rows), HIDDEN),
        "src_key_padding_mask": (lambda x: encoder(x, src_key_padding_mask=keys), HIDDEN),
        "tgt_mask": (lambda x: decoder(x, memory, tgt_mask=rows), HIDDEN),
        "tgt_key_padding_mask": (lambda x: decoder(x, memory, tgt_key_padding_mask=keys), HIDDEN),
        "memory_mask": (lambda x: decoder(memory, x, memory_mask=rows), HIDDEN),
        "memory_key_padding_mask": (lambda x: decoder(memory, x, memory_key_padding_mask=keys), HIDDEN),
    }


@pytest.mark.parametrize("name", pytorch_calls("cpu"))
def test_what_true_means_in_pytorch(name, device):
    function, expected = pytorch_calls(device)[name]
    found = leaks.influence(function, torch.randn(1, 4, 8).to(device))[0, 0].tolist()
    own = {0} if name[:3] in ("src", "tgt") else set()  # its residual connection shows a token to itself
    assert {j for j, seen in enumerate(found) if seen} == expected | own


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_what_true_means_in_flex_attention():
    """The readable form, not compiled, on the CPU."""
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    block_mask = flex.create_block_mask(lambda b, h, i, j: j == 2, 1, 1, 4, 4, device="cpu")
    function = lambda x: flex.flex_attention(x, x, x, block_mask=block_mask)  # noqa: E731
    found = leaks.influence(function, torch.randn(1, 1, 4, 8), draws=4)[0, 0, 0].tolist()
    assert {j for j, seen in enumerate(found) if seen} == ATTEND


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_what_true_or_one_means_in_keras(dtype):
    rows = ONE_TRUE.expand(1, 4, 4).to(dtype)
    with keras.device("cpu"):
        layer = keras.layers.MultiHeadAttention(2, 4)
        found = leaks.influence(lambda x: layer(x, x, attention_mask=rows), torch.randn(1, 4, 8))
        attend = keras.layers.Attention()
        kept = leaks.influence(lambda x: attend([x, x], mask=[None, ONE_TRUE[None]]), torch.randn(1, 4, 8))
        embedding = keras.layers.Embedding(5, 4, mask_zero=True)
        assert embedding.compute_mask(torch.tensor([[1, 2, 0]])).tolist() == [[True, True, False]]
    for influence in (found, kept):
        assert {j for j, seen in enumerate(influence[0, 0].tolist()) if seen} == ATTEND


def test_keras_aligns_causal_at_the_start():
    with keras.device("cpu"):
        layer = keras.layers.MultiHeadAttention(2, 4)
        query, key = torch.randn(1, 2, 8), torch.randn(1, 5, 8)
        found = leaks.influence(lambda x: layer(query, x, use_causal_mask=True), key)[0]
    assert found.tolist() == [[True, False, False, False, False], [True, True, False, False, False]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to.to_additive(torch.ones(2, 2)), TypeError, "mask must be a boolean tensor; got torch.float32"),
        (lambda: to.to_additive([True]), TypeError, "mask must be a boolean tensor; got list"),
        (lambda: to.to_additive(masks.causal(2), torch.int64), TypeError, "dtype must be a floating-point dtype"),
        (lambda: to.to_multihead(masks.causal(3), heads=2, queries=4), ValueError, r"mask must broadcast .*\(4, 3\)"),
        (lambda: to.to_multihead(masks.causal(3)[0], heads=2, queries=3), ValueError, "mask must have 2 to 4 axes"),
        (lambda: to.to_multihead(masks.causal(3), heads=0, queries=3), ValueError, "heads must be at least 1; got 0"),
        (
            lambda: to.to_multihead(masks.causal(3).expand(2, 3, 3, 3), heads=2, queries=3),
            ValueError,
            r"mask must broadcast .* = \(2, 2, 3, 3\); got \(2, 3, 3, 3\)",
        ),
        (lambda: to.to_key_padding(masks.causal(3)), ValueError, r"mask must be a padding mask .* got \(3, 3\)"),
        (lambda: to.to_ones(masks.causal(3)[None, None]), ValueError, r"mask must be a padding mask .* \(1, 1, 3, 3\)"),
        (lambda: to.to_keras(masks.causal(3).expand(2, 2, 3, 3)), ValueError, "mask must have shape .* all heads"),
        (lambda: to.from_additive(masks.causal(3)), TypeError, "bias must be a floating-point tensor; got torch.bool"),
        (lambda: to.from_additive(torch.tensor([0, -1e9])), ValueError, "bias must hold only 0 and -inf .* got -1e"),
        (lambda: to.from_additive(torch.tensor([0.0, 1.0])), ValueError, "bias must hold only 0 and -inf .* got 1$"),
        (lambda: to.from_key_padding(torch.ones(2, 3)), TypeError, "hidden must be a boolean tensor"),
        (lambda: to.from_key_padding(torch.ones(3) > 0), ValueError, r"hidden must have shape .* got \(3,\)"),
        (lambda: to.from_ones(torch.ones(2, 3)), TypeError, "ones must be whole numbers, 1 and 0; got torch.float32"),
        (lambda: to.from_ones(torch.ones(2, 3) > 0), TypeError, "ones must be whole numbers, 1 and 0; got torch.bool"),
        (lambda: to.from_ones(torch.tensor([1, 0])), ValueError, r"ones must have shape \(batch, keys\); got \(2,\)"),
        (lambda: to.from_ones(torch.tensor([[1, 2]])), ValueError, r"ones must hold only 1 .* got \[1, 2\]"),
    ],
)
def test_errors(call, error, message, own_errors):
    with pytest.raises(error, match=f"^{message}"):
        call()
