"""Each sparse form equals attention under its mask, outputs and gradients, without the table of scores."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook import attention, masks, sparse
from attnbook.sparse import block_sparse_attention, sliding_window_attention, strided_attention
from tests.attnbook.reference import inputs, refused


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Several blocks in a short sequence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "BLOCK", 4)
        yield


lengths = st.integers(0, 11).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m)))


def draw_inputs(data, n, m, device):
    heads, key_heads = data.draw(st.sampled_from([(1, 1), (2, 2), (4, 2), (3, 1)]))
    seed = data.draw(st.integers(0, 2**16))
    return inputs((2, heads, n, 3), (2, key_heads, m, 3), (2, key_heads, m, 5), seed=seed, device=device, grad=True)


def same(actual, mask, query, key, value):
    expected, _ = attention(query, key, value, mask=mask)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)
    upstream = torch.linspace(-1, 1, expected.numel(), dtype=expected.dtype, device=expected.device).view_as(expected)
    exact = torch.autograd.grad(expected, (query, key, value), upstream)
    found = torch.autograd.grad(actual, (query, key, value), upstream)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=0)


@settings(max_examples=150)
@given(data=st.data(), lengths=lengths, before=st.integers(0, 12), after=st.integers(0, 12), causal=st.booleans())
def test_sliding_window(data, lengths, before, after, causal, device):
    n, m = lengths
    x = draw_inputs(data, n, m, device)
    tokens = data.draw(st.lists(st.integers(-m, m - 1), max_size=3)) if m else []
    mask = masks.sliding_window(n, m, before=before, after=after, device=device)
    mask = mask | masks.global_tokens(n, m, tokens=tokens, device=device)
    mask = mask & masks.causal(n, m, device=device) if causal else mask
    same(sliding_window_attention(*x, before=before, after=after, global_tokens=tokens, causal=causal), mask, *x)


@settings(max_examples=80)
@given(data=st.data(), lengths=lengths, stride=st.integers(1, 12), causal=st.booleans())
def test_strided(data, lengths, stride, causal, device):
    n, m = lengths
    x = draw_inputs(data, n, m, device)
    mask = masks.strided(n, m, stride=stride, device=device)
    mask = mask & masks.causal(n, m, device=device) if causal else mask
    same(strided_attention(*x, stride=stride, causal=causal), mask, *x)


@settings(max_examples=150)
@given(data=st.data(), lengths=lengths, size=st.integers(1, 5), causal=st.booleans())
def test_block_sparse(data, lengths, size, causal, device):
    n, m = lengths
    x = draw_inputs(data, n, m, device)
    number = -(-m // size)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    blocks = torch.rand(number, number, generator=generator) < data.draw(st.sampled_from([0.1, 0.4, 0.9]))
    mask = blocks.repeat_interleave(size, 0).repeat_interleave(size, 1)[m - n : m, :m].to(device)
    mask = mask & masks.causal(n, m, device=device) if causal else mask
    same(block_sparse_attention(*x, blocks=blocks.to(device), size=size, causal=causal), mask, *x)


def test_bigbird_s_blocks_from_the_masks():
    """The docstring's pattern, checked by hand for one row of blocks."""
    blocks = masks.sliding_window(8, before=1, after=1) | masks.global_tokens(8, tokens=[0])
    blocks = blocks | masks.random_block(8, size=1, count=2, seed=0)
    assert blocks[0].all() and blocks[:, 0].all()
    assert {3, 4, 5, 0} <= set(blocks[4].nonzero().flatten().tolist())
    x = inputs((1, 1, 16, 4), (1, 1, 16, 4), (1, 1, 16, 4), grad=True)
    mask = blocks.repeat_interleave(2, 0).repeat_interleave(2, 1)
    same(block_sparse_attention(*x, blocks=blocks, size=2), mask, *x)


def test_work_grows_with_the_window_and_not_with_the_square(monkeypatch):
    """Scores that are computed, counted: 16 times the length, 16 times the work."""
    pairs, plain = [], sparse.F.scaled_dot_product_attention

    def counted(query, key, value, **options):
        pairs.append(query.shape[-2] * key.shape[-2])
        return plain(query, key, value, **options)

    monkeypatch.setattr(sparse.F, "scaled_dot_product_attention", counted)
    work = []
    for n in (64, 1024):
        x = torch.randn(1, 1, n, 4)
        sliding_window_attention(x, x, x, before=8, after=0)
        work.append(sum(pairs))
        pairs.clear()
    assert 15.5 < work[1] / work[0] < 18 and work[1] < 1024 * (8 + 4)


X = torch.zeros(2, 5, 4), torch.zeros(2, 7, 4), torch.zeros(2, 7, 4)
EYE = torch.eye(4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (lambda: sliding_window_attention(*X, before=-1, after=0), ValueError, "before must be at least 0", "-1"),
        (lambda: sliding_window_attention(*X, before=1, after=1.0), TypeError, "after must be an integer", "float"),
        (
            lambda: sliding_window_attention(*X, before=1, after=1, global_tokens=[7]),
            ValueError,
            "tokens must lie between -7 and 6",
            "7",
        ),
        (
            lambda: sliding_window_attention(X[1], X[0], X[0], before=1, after=1),
            ValueError,
            "query must have at most",
            "(2, 7, 4)",
        ),
        (lambda: strided_attention(*X, stride=0), ValueError, "stride must be at least 1", "0"),
        (lambda: strided_attention(*X, stride=2, causal=None), TypeError, "causal must be True or False", "NoneType"),
        (lambda: block_sparse_attention(*X, blocks=EYE, size=0), ValueError, "size must be at least 1", "0"),
        (lambda: block_sparse_attention(*X, blocks=EYE, size=3), ValueError, "blocks must have shape (3, 3)", "(4, 4)"),
        (lambda: block_sparse_attention(*X, blocks=EYE.int(), size=2), TypeError, "blocks must be a boolean", "int32"),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
