"""Measures against plain loops, numerical differences and SciPy; other weights against their equations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import kendalltau

from attnbook.explanations import (
    contributions,
    gradient_times_input,
    integrated_gradients,
    kendall,
    leave_one_out,
    same_output,
)
from tests.attnbook.reference import as_float64, check, inputs, refused


def spread(tokens):
    """An answer that hears the order: sum over places of (place + 1) * token², divided by the length."""
    places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    return (places * tokens.double() ** 2).sum(1) / tokens.shape[1]


@pytest.mark.parametrize("positions", [None, [1], [3, 0]])
def test_leaving_out(positions, device):
    numbers = [3, 1, 4, 1, 5]
    found = leave_one_out(spread, torch.tensor(numbers, device=device), positions)
    by_hand = lambda row: sum((k + 1) * x**2 for k, x in enumerate(row)) / len(row)  # noqa: E731
    expected = [
        by_hand(numbers) - by_hand(numbers[:j] + numbers[j + 1 :])
        for j in (range(5) if positions is None else positions)
    ]
    check(found, np.array(expected), atol=1e-12)


def curve(x):
    """(batch, n, d) -> (batch,): a function with mixed terms."""
    return torch.sin(x.sum(1)).sum(-1) + (x[:, 0] * x[:, -1] ** 2).sum(-1)


def curve_numpy(x):
    return np.sin(x.sum(0)).sum() + (x[0] * x[-1] ** 2).sum()


def slopes(x, h=1e-6):
    """Central differences."""
    result = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[at] = h
        result[at] = (curve_numpy(x + step) - curve_numpy(x - step)) / (2 * h)
    return result


@pytest.mark.parametrize("n", [1, 4])
def test_gradient_times_input(n, device):
    (x,) = inputs((n, 3), device=device)
    array = as_float64(x)
    check(gradient_times_input(curve, x), (array * slopes(array)).sum(-1), atol=1e-7)


def test_integrated_gradients(device):
    x, baseline = inputs((4, 3), (4, 3), device=device)
    a, b = as_float64(x), as_float64(baseline)
    expected = np.zeros(4)
    for k in range(8):
        expected += ((a - b) * slopes(b + (k + 0.5) / 8 * (a - b))).sum(-1) / 8
    check(integrated_gradients(curve, x, baseline, steps=8), expected, atol=1e-7)


def test_integrated_gradients_add_up(device):
    x, baseline = inputs((4, 3), (4, 3), device=device)
    total = curve_numpy(as_float64(x)) - curve_numpy(as_float64(baseline))
    gaps = [abs(integrated_gradients(curve, x, baseline, steps=steps).sum().item() - total) for steps in (25, 100)]
    assert gaps[1] < gaps[0] / 10 and gaps[1] < 1e-3  # the midpoint rule: a sixteenth of the error


def test_no_gradient_is_left_behind():
    (x,) = inputs((4, 3))
    x.requires_grad_()
    with torch.no_grad():
        assert not gradient_times_input(curve, x).requires_grad
    assert x.grad is None


@pytest.mark.parametrize("heads", [(), (2,), (3, 2)])
def test_contributions(heads, device):
    scores, value = inputs((*heads, 3, 5), (*heads, 5, 4), device=device)
    weights = scores.softmax(-1)
    w, v = as_float64(weights), as_float64(value)
    expected = np.zeros(w.shape)
    for at in np.ndindex(*w.shape):
        expected[at] = np.sqrt(sum((w[at] * component) ** 2 for component in v[(*at[:-2], at[-1])]))
    check(contributions(weights, value), expected, atol=1e-14)


def test_contributions_in_half_precision():
    weights, value = torch.full((2, 4), 0.25, dtype=torch.float16), torch.full((4, 3), 300.0, dtype=torch.float16)
    found = contributions(weights, value)  # 300² is more than float16 holds
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), torch.full((2, 4), 0.25 * 300 * 3**0.5), rtol=1e-3, atol=0)


@settings(max_examples=60)
@given(m=st.integers(1, 12), d_v=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_output_stays(m, d_v, seed, device):
    scores, value = inputs((1, m), (m, d_v), seed=seed, device=device)
    weights = (2 * scores[0]).softmax(-1)
    away = seed % m
    row = same_output(weights, value, away)
    w, v, found = as_float64(weights), as_float64(value), as_float64(row)
    assert found.min() >= 0 and abs(found.sum() - 1) < 1e-11
    assert np.abs(found @ v - w @ v).max() < 1e-10
    assert found[away] <= w[away] + 1e-12
    room = m > d_v + 1
    assert (np.abs(found - w).max() > 1e-9) == room  # random values leave none to fewer keys
    if room:  # never below what a linear program finds as the least
        equations = np.concatenate([v.T, np.ones((1, m))])
        least = linprog(np.eye(m)[away], A_eq=equations, b_eq=equations @ w, bounds=(0, None))
        assert least.status == 0 and found[away] >= least.fun - 1e-7 and found[away] < w[away]


def test_the_row_of_the_chapter():
    weights, value = torch.tensor([0.5, 0.0, 0.5]), torch.tensor([[0.0], [1.0], [2.0]])
    assert torch.equal(same_output(weights, value, 0), weights.double())  # a key with weight 0 is not brought in
    row = same_output(torch.tensor([0.4, 0.2, 0.4]), value, 0)
    torch.testing.assert_close(row, torch.tensor([0.0, 1.0, 0.0]).double(), atol=1e-7, rtol=0)


@settings(max_examples=80)
@given(numbers=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12))
def test_kendall(numbers):
    a, b = np.array(numbers, dtype=float).T
    expected = kendalltau(a, b).statistic
    found = kendall(torch.tensor(a), torch.tensor(b))
    assert abs(found - (0.0 if np.isnan(expected) else expected)) < 1e-12


X, ROW, TOKENS = torch.ones(4, 3), torch.ones(4) / 4, torch.arange(4)


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "positions", lambda: leave_one_out(spread, TOKENS, [4])),
        (ValueError, "positions", lambda: leave_one_out(spread, TOKENS, [])),
        (ValueError, "tokens", lambda: leave_one_out(spread, TOKENS[:1])),
        (TypeError, "tokens", lambda: leave_one_out(spread, ROW)),
        (ValueError, "x", lambda: gradient_times_input(curve, X[None])),
        (ValueError, "baseline", lambda: integrated_gradients(curve, X, X[:3])),
        (ValueError, "steps", lambda: integrated_gradients(curve, X, X, steps=0)),
        (ValueError, "value", lambda: contributions(X, X[:2])),
        (ValueError, "value", lambda: same_output(ROW, X[:3], 0)),
        (ValueError, "away", lambda: same_output(ROW, X, 4)),
        (ValueError, "weights", lambda: same_output(X, X, 0)),
        (ValueError, "b", lambda: kendall(ROW, ROW[:3])),
        (ValueError, "a", lambda: kendall(X, ROW)),
        (TypeError, "a", lambda: kendall(TOKENS, ROW)),
    ],
)
def test_what_is_refused(error, name, call, own_errors):
    with refused(error, name, " must "):
        call()
