"""The delta rule: each form against plain loops in NumPy, what it writes and leaves alone, gradients, errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook.delta import delta_rule, delta_rule_parallel, delta_rule_recurrent
from tests.attnbook.reference import as_float64, check, inputs, refused


def draw(n, *, seed=0, device="cpu", grad=False):
    """Query, key, value and beta between 0 and 1; keys of length 1, as in use."""
    query, key, value, beta = inputs((2, n, 4), (2, n, 4), (2, n, 3), (2, n), seed=seed, device=device)
    x = query, F.normalize(key, dim=-1), value, beta.sigmoid()
    return [t.detach().requires_grad_(grad) for t in x]


def by_hand(query, key, value, beta, state=None):
    """The recurrence, number by number."""
    q, k, v, b = map(as_float64, (query, key, value, beta))
    output, last = np.zeros_like(v), np.zeros((len(q), q.shape[-1], v.shape[-1]))
    for i in range(len(q)):
        S = np.zeros((q.shape[-1], v.shape[-1])) if state is None else as_float64(state)[i]
        for t in range(q.shape[1]):
            S = S + b[i, t] * np.outer(k[i, t], v[i, t] - k[i, t] @ S)
            output[i, t] = q[i, t] @ S
        last[i] = S
    return output, last


FORMS = {"chunks": lambda *x, **o: delta_rule(*x, chunk=4, **o), "steps": delta_rule_recurrent}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_by_hand(form, n, device):
    x = draw(n, device=device)
    output, state = FORMS[form](*x)
    expected, last = by_hand(*x)
    check(output, expected, atol=1e-13)
    check(state, last, atol=1e-13)
    check(delta_rule_parallel(*x), expected, atol=1e-13)


@settings(max_examples=40)
@given(n=st.integers(1, 13), chunk=st.integers(1, 8), seed=st.integers(0, 99))
def test_outputs_and_gradients(n, chunk, seed, device):
    x = draw(n, seed=seed, device=device, grad=True)
    expected, _ = delta_rule_recurrent(*x)
    exact = torch.autograd.grad(expected.square().sum(), x)
    for output in (delta_rule(*x, chunk=chunk)[0], delta_rule_parallel(*x)):
        torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
        for a, b in zip(torch.autograd.grad(output.square().sum(), x), exact, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [(7, 6), (1,) * 13, (13, 0)])
def test_the_state_goes_on(form, cut, device):
    x = draw(13, device=device)
    state, outputs = None, []
    for q, k, v, b in zip(*(t.split(cut, dim=1) for t in x), strict=True):
        output, state = FORMS[form](q, k, v, b, state=state)
        outputs.append(output)
    expected, last = by_hand(*x)
    check(torch.cat(outputs, dim=1), expected, atol=1e-12)
    check(state, last, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_through_a_state_handed_on(form, device):
    """To all that went in, the first state too, from the outputs and the last state; expected: one step at a time."""
    x = draw(13, device=device, grad=True)
    (begin,) = inputs((2, 4, 3), seed=1, device=device, grad=True)
    found = []
    for attend, cut in ((FORMS[form], (6, 7)), (delta_rule_recurrent, (13,))):
        state, outputs = begin, []
        for part in zip(*(t.split(cut, dim=1) for t in x), strict=True):
            output, state = attend(*part, state=state)
            outputs.append(output)
        total = torch.cat(outputs, dim=1).square().sum() + state.pow(3).sum()
        found.append(torch.autograd.grad(total, [*x, begin]))
    for actual, expected in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)
    check(FORMS[form](*x, state=begin)[0], by_hand(*x, state=begin)[0], atol=1e-12)


def test_gradients_by_differences(device):
    (begin,) = inputs((2, 4, 3), seed=1, device=device)
    leaves = [t.requires_grad_() for t in (*draw(3, device=device), begin)]
    assert torch.autograd.gradcheck(lambda *x: delta_rule_recurrent(*x[:4], state=x[4]), leaves)


@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_leading_axes(leading, device):
    """Every text by itself gives the same as all at once; keys need not have length 1."""
    x = inputs((*leading, 7, 4), (*leading, 7, 4), (*leading, 7, 3), (*leading, 7), device=device)
    x[3] = x[3].sigmoid()
    expected, last = by_hand(*(t.reshape(-1, *t.shape[len(leading) :]) for t in x))
    for form in FORMS.values():
        output, state = form(*x)
        check(output, expected.reshape(*leading, 7, 3), atol=1e-9, rtol=1e-9)
        check(state, last.reshape(*leading, 4, 3), atol=1e-9, rtol=1e-9)
    check(delta_rule_parallel(*x), expected.reshape(*leading, 7, 3), atol=1e-9, rtol=1e-9)


def test_a_key_of_length_1_reads_what_was_just_written(device):
    """With beta 1, whatever was held before, by keys at any angle."""
    _, key, value, beta = draw(9, device=device)
    for form in FORMS.values():
        output, state = form(key, key, value, torch.ones_like(beta))
        check(output, as_float64(value), atol=1e-13)
        check(key[:, -1:] @ state, as_float64(value[:, -1:]), atol=1e-13)


def test_what_is_written_is_read_and_what_is_at_right_angles_stays(device):
    (values,) = inputs((1, 3, 5), device=device)
    keys = torch.eye(4, dtype=torch.float64, device=device)[None, [0, 1, 0]]  # the first key comes again
    beta = torch.ones(1, 3, dtype=torch.float64, device=device)
    _, state = delta_rule(keys, keys, values, beta)
    check(state[0, 0], as_float64(values[0, 2]), atol=1e-15)
    check(state[0, 1], as_float64(values[0, 1]), atol=1e-15)
    _, half = delta_rule(keys[:, :1], keys[:, :1], values[:, :1], beta[:, :1] / 4, state=state)
    check(half[0, 0], as_float64(0.75 * values[0, 2] + 0.25 * values[0, 0]), atol=1e-15)
    _, same = delta_rule(keys[:, :1], keys[:, :1], values[:, :1], 0 * beta[:, :1], state=state)
    assert torch.equal(same, state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, device):
    x = [t.to(dtype) for t in draw(9, device=device)]
    output, state = delta_rule(*x, chunk=4)
    check(output, by_hand(*x)[0], atol=0.1)
    assert output.dtype == dtype and state.dtype == torch.float32
    rounded = state.to(dtype)
    again, state = delta_rule(*x, state=rounded)
    assert torch.equal(again, delta_rule(*x, state=rounded.float())[0]) and state.dtype == torch.float32


X = torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), torch.zeros(2, 5, 3)
B = torch.zeros(2, 5)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (lambda: delta_rule(*X, 0.5), TypeError, "beta must be a torch.Tensor", "float"),
        (lambda: delta_rule(*X, B[:, :4]), ValueError, "beta must have shape (2, 5)", "(2, 4)"),
        (lambda: delta_rule(*X, B + 1.5), ValueError, "beta must lie between 0 and 1", "1.5"),
        (lambda: delta_rule(*X, B, state=torch.zeros(4, 3)), ValueError, "state must have shape (2, 4, 3)", "(4, 3)"),
        (lambda: delta_rule(*X, B - 0.5), ValueError, "beta must lie between 0 and 1", "-0.5"),
        (lambda: delta_rule(*X, B + torch.nan), ValueError, "beta must lie between 0 and 1", "nan"),
        (
            lambda: delta_rule(*X, B, state=torch.zeros(2, 4, 3).double()),
            TypeError,
            "state must have the dtype of value, torch.float32",
            "float64",
        ),
        (lambda: delta_rule(*X, B, chunk=0), ValueError, "chunk must be at least 1", "0"),
        (
            lambda: delta_rule(X[0], X[1][..., :3], X[2], B),
            ValueError,
            "key must have last axis 4",
            "(2, 5, 3)",
        ),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
