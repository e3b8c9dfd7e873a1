"""Linear attention: the definition against plain loops, then the other forms against the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook.linear import State, elu_features, linear_attention, linear_attention_parallel, linear_attention_recurrent
from tests.attnbook.reference import as_float64, check, inputs, refused


def by_hand(query, key, value, causal):
    """One pair at a time, in NumPy."""
    phi = lambda x: np.where(x > 0, x + 1, np.exp(x))  # noqa: E731
    query, key, value = phi(as_float64(query)), phi(as_float64(key)), as_float64(value)
    output = np.zeros((*query.shape[:-1], value.shape[-1]))
    for at in np.ndindex(*query.shape[:-1]):
        seen = at[-1] + 1 if causal else key.shape[-2]
        weights = [float(query[at] @ key[(*at[:-1], j)]) for j in range(seen)]
        for j, weight in enumerate(weights):
            output[at] += weight / sum(weights) * value[(*at[:-1], j)]
    return output


@pytest.mark.parametrize("causal", [False, True])
def test_the_definition(causal, device):
    x = inputs((2, 3, 5, 4), (2, 3, 5, 4), (2, 3, 5, 6), device=device)
    output, weights = linear_attention_parallel(*x, causal=causal)
    check(output, by_hand(*x, causal), atol=1e-14)
    assert (weights >= 0).all() and (not causal or weights.triu(1).abs().max() == 0)
    check(weights.sum(-1), np.ones((2, 3, 5)), atol=1e-14)


@settings(max_examples=60)
@given(n=st.integers(0, 13), chunk=st.integers(1, 8), causal=st.booleans(), seed=st.integers(0, 99))
def test_chunks_are_the_definition(n, chunk, causal, seed, device):
    """Outputs and gradients."""
    x = inputs((2, n, 4), (2, n, 4), (2, n, 3), seed=seed, device=device, grad=True)
    expected, _ = linear_attention_parallel(*x, causal=causal)
    actual, _ = linear_attention(*x, causal=causal, chunk=chunk)
    torch.testing.assert_close(actual, expected, atol=1e-13, rtol=0)
    exact = torch.autograd.grad(expected.square().sum(), x)
    found = torch.autograd.grad(actual.square().sum(), x)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cut", [(7, 6), (1,) * 13, (13, 0), (0, 13)])
@pytest.mark.parametrize(
    "form", [linear_attention_recurrent, lambda *x, **o: linear_attention(*x, causal=True, chunk=4, **o)]
)
def test_the_state_goes_on(cut, form, device):
    x = inputs((2, 3, 13, 4), (2, 3, 13, 4), (2, 3, 13, 6), device=device)
    expected, _ = linear_attention_parallel(*x, causal=True)
    state, outputs = None, []
    for part in zip(*(y.split(cut, dim=-2) for y in x), strict=True):
        output, state = form(*part, state=state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=-2), expected, atol=1e-13, rtol=0)
    features = elu_features(x[1])
    torch.testing.assert_close(state.sum, features.mT @ x[2])
    torch.testing.assert_close(state.normalizer, features.sum(-2))


def test_queries_see_all_of_the_state_without_causality(device):
    q, k, v = inputs((2, 5, 4), (2, 7, 4), (2, 7, 3), device=device)
    _, state = linear_attention(q, k[:, :3], v[:, :3])
    output, _ = linear_attention(q, k[:, 3:], v[:, 3:], state=state)
    torch.testing.assert_close(output, linear_attention_parallel(q, k, v)[0])


def test_nothing_seen_gives_zero(device):
    q, k, v = inputs((2, 5, 4), (2, 0, 4), (2, 0, 3), device=device)
    assert torch.equal(linear_attention(q, k, v)[0], torch.zeros(2, 5, 3, dtype=torch.float64, device=device))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, device):
    x = inputs((2, 9, 4), (2, 9, 4), (2, 9, 3), dtype=dtype, device=device)
    output, state = linear_attention(*x, causal=True, chunk=4)
    exact = linear_attention_parallel(*(y.double() for y in x), causal=True)[0]
    assert output.dtype == dtype and state.sum.dtype == torch.float32
    torch.testing.assert_close(output, exact.to(dtype), atol=2 * torch.finfo(dtype).eps, rtol=0)


Q, K, V = torch.zeros(2, 5, 4), torch.zeros(2, 7, 4), torch.zeros(2, 7, 3)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (lambda: linear_attention(Q, K, V[:, :6]), ValueError, "value must have one row for each key, 7", "(2, 6, 3)"),
        (
            lambda: linear_attention(Q, K, V, causal=True),
            ValueError,
            "key must have as many rows as query, 5",
            "(2, 7, 4)",
        ),
        (lambda: linear_attention(Q, K[:1], V), ValueError, "key must have the leading axes of query", "(1, 7, 4)"),
        (lambda: linear_attention(Q, K, V, features=None), TypeError, "features must be callable", "NoneType"),
        (lambda: linear_attention(Q, K, V, chunk=0), ValueError, "chunk must be at least 1", "0"),
        (lambda: linear_attention(Q, K, V, causal=1), TypeError, "causal must be True or False", "int"),
        (
            lambda: linear_attention(Q, K, V, state=State(torch.zeros(2, 4, 4), torch.zeros(2, 4))),
            ValueError,
            "state must hold a sum of shape (2, 4, 3)",
            "(2, 4, 4)",
        ),
        (
            lambda: linear_attention(Q, K, V, state=State(torch.zeros(2, 4, 3).double(), torch.zeros(2, 4).double())),
            TypeError,
            "state must have the dtype of value",
            "float64",
        ),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
