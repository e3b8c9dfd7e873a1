"""Gated linear attention: each form against plain loops in NumPy, the state handed on, gradients, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbook.gated import gated_linear_attention, gated_linear_attention_parallel, gated_linear_attention_recurrent
from tests.attnbook.reference import as_float64, check, inputs, refused


def draw(n, *, seed=0, device="cpu", grad=False):
    """Query, key, value and a log decay of at most 0, some of it exactly 0."""
    x = inputs((2, n, 4), (2, n, 4), (2, n, 3), (2, n), seed=seed, device=device)
    x[3] = -x[3].clamp(min=0)
    return [t.requires_grad_(grad) for t in x]


def by_hand(query, key, value, log_decay, state=None):
    """The recurrence, number by number."""
    q, k, v, g = map(as_float64, (query, key, value, log_decay))
    output, last = np.zeros_like(v), np.zeros((len(q), q.shape[-1], v.shape[-1]))
    for b in range(len(q)):
        S = np.zeros((q.shape[-1], v.shape[-1])) if state is None else as_float64(state)[b]
        for t in range(q.shape[1]):
            S = np.exp(g[b, t]) * S + np.outer(k[b, t], v[b, t])
            output[b, t] = q[b, t] @ S
        last[b] = S
    return output, last


FORMS = {
    "chunks": lambda *x, **o: gated_linear_attention(*x, chunk=4, **o),
    "steps": gated_linear_attention_recurrent,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_by_hand(form, n, device):
    x = draw(n, device=device)
    output, state = FORMS[form](*x)
    expected, last = by_hand(*x)
    check(output, expected, atol=1e-13)
    check(state, last, atol=1e-13)
    check(gated_linear_attention_parallel(*x), expected, atol=1e-13)


@settings(max_examples=40)
@given(n=st.integers(1, 13), chunk=st.integers(1, 8), seed=st.integers(0, 99))
def test_outputs_and_gradients_of_chunks(n, chunk, seed, device):
    x = draw(n, seed=seed, device=device, grad=True)
    expected = gated_linear_attention_parallel(*x)
    actual, _ = gated_linear_attention(*x, chunk=chunk)
    steps, _ = gated_linear_attention_recurrent(*x)
    exact = torch.autograd.grad(expected.square().sum(), x)
    for output in (actual, steps):
        torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
        for a, b in zip(torch.autograd.grad(output.square().sum(), x), exact, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [(7, 6), (1,) * 13, (13, 0)])
def test_the_state_goes_on(form, cut, device):
    x = draw(13, device=device)
    state, outputs = None, []
    for q, k, v, g in zip(*(t.split(cut, dim=1) for t in x), strict=True):
        output, state = FORMS[form](q, k, v, g, state=state)
        outputs.append(output)
    expected, last = by_hand(*x)
    check(torch.cat(outputs, dim=1), expected, atol=1e-12)
    check(state, last, atol=1e-12)


def test_what_the_gate_does(device):
    """log 0.5 at each step halves what is held; -50 forgets; 0 adds up."""
    one = torch.ones(1, 3, 1, dtype=torch.float64, device=device)
    for decay, expected in ((np.log(0.5), [1, 1.5, 1.75]), (-50.0, [1, 1, 1]), (0.0, [1, 2, 3])):
        output, _ = gated_linear_attention(one, one, one, torch.full((1, 3), decay, dtype=torch.float64, device=device))
        check(output.flatten(), np.array(expected), atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_through_a_state_handed_on(form, device):
    """To all that went in, the first state too, from the outputs and the last state; expected: one step at a time."""
    x = draw(13, device=device, grad=True)
    (begin,) = inputs((2, 4, 3), seed=1, device=device, grad=True)
    found = []
    for attend, cut in ((FORMS[form], (6, 7)), (gated_linear_attention_recurrent, (13,))):
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
    x = draw(3, device=device)
    x[3] = x[3] - 0.1  # away from 0, as above it is refused
    (begin,) = inputs((2, 4, 3), seed=1, device=device)
    leaves = [t.requires_grad_() for t in (*x, begin)]
    assert torch.autograd.gradcheck(lambda *x: gated_linear_attention_recurrent(*x[:4], state=x[4]), leaves)


@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_leading_axes(leading, device):
    """Every text by itself gives the same as all at once."""
    x = inputs((*leading, 7, 4), (*leading, 7, 4), (*leading, 7, 3), (*leading, 7), device=device)
    x[3] = -x[3].abs()
    expected, last = by_hand(*(t.reshape(-1, *t.shape[len(leading) :]) for t in x))
    for form in FORMS.values():
        output, state = form(*x)
        check(output, expected.reshape(*leading, 7, 3), atol=1e-13)
        check(state, last.reshape(*leading, 4, 3), atol=1e-13)
    check(gated_linear_attention_parallel(*x), expected.reshape(*leading, 7, 3), atol=1e-13)


def test_minus_infinity_forgets_all(device):
    """The text begins anew there; and the gradients stay finite."""
    x = draw(11, device=device)
    x[3][:, 6] = -torch.inf
    expected = np.concatenate([by_hand(*(t[:, :6] for t in x))[0], by_hand(*(t[:, 6:] for t in x))[0]], axis=1)
    x = [t.requires_grad_() for t in x]
    for form in (*FORMS.values(), lambda *x: (gated_linear_attention_parallel(*x),)):
        output = form(*x)[0]
        check(output, expected, atol=1e-13)
        assert all(g.isfinite().all() for g in torch.autograd.grad(output.square().sum(), x))


def test_weak_decay_behind_strong_decay_keeps_its_digits():
    """In float32; sums of the decay from the start would reach -5,000 and lose three digits."""
    x = inputs((1, 200, 4), (1, 200, 4), (1, 200, 3))
    decay = torch.full((1, 200), -0.01, dtype=torch.float64)
    decay[:, ::4] = -100
    expected, last = by_hand(*x, decay)
    narrow = [t.float() for t in (*x, decay)]
    output, state = gated_linear_attention(*narrow)
    check(output, expected, atol=2e-5)
    check(state, last, atol=2e-5)
    check(gated_linear_attention_parallel(*narrow), expected, atol=2e-5)


def test_strong_decay_over_long_texts_neither_overflows_nor_is_lost():
    """Summed up to -6,400 within a chunk: exp of the difference, never of the sum alone."""
    x = torch.ones(1, 256, 2)
    output, state = gated_linear_attention(x, x, x, torch.full((1, 256), -100.0))
    assert torch.isfinite(output).all() and torch.isfinite(state).all()
    assert torch.equal(output, torch.full((1, 256, 2), 2.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, device):
    x = [t.to(dtype) for t in draw(9, device=device)]
    output, state = gated_linear_attention(*x, chunk=4)
    check(output, by_hand(*x)[0], atol=0.1)
    assert output.dtype == dtype and state.dtype == torch.float32
    rounded = state.to(dtype)
    again, state = gated_linear_attention(*x, state=rounded)
    assert torch.equal(again, gated_linear_attention(*x, state=rounded.float())[0]) and state.dtype == torch.float32


X = torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), torch.zeros(2, 5, 3)


@pytest.mark.parametrize(
    ("call", "error", "starts", "says"),
    [
        (
            lambda: gated_linear_attention(X[0], X[1][..., :3], X[2], torch.zeros(2, 5)),
            ValueError,
            "key must have last axis 4",
            "(2, 5, 3)",
        ),
        (lambda: gated_linear_attention(*X, 0.5), TypeError, "log_decay must be a torch.Tensor", "float"),
        (
            lambda: gated_linear_attention(*X, torch.zeros(2, 4)),
            ValueError,
            "log_decay must have shape (2, 5)",
            "(2, 4)",
        ),
        (lambda: gated_linear_attention(*X, torch.ones(2, 5)), ValueError, "log_decay must be at most 0", "1"),
        (
            lambda: gated_linear_attention(*X, torch.full((2, 5), torch.nan)),
            ValueError,
            "log_decay must be at most 0",
            "nan",
        ),
        (
            lambda: gated_linear_attention(*X, torch.zeros(2, 5), state=torch.zeros(2, 4, 3).double()),
            TypeError,
            "state must have the dtype of value, torch.float32",
            "float64",
        ),
        (
            lambda: gated_linear_attention(*X, torch.zeros(2, 5), state=torch.zeros(2, 3, 4)),
            ValueError,
            "state must have shape (2, 4, 3)",
            "(2, 3, 4)",
        ),
        (
            lambda: gated_linear_attention(*X, torch.zeros(2, 5), state=1),
            TypeError,
            "state must be a torch.Tensor",
            "int",
        ),
        (lambda: gated_linear_attention(*X, torch.zeros(2, 5), chunk=0), ValueError, "chunk must be at least 1", "0"),
        (
            lambda: gated_linear_attention(X[0][:, :4], X[1], X[2], torch.zeros(2, 4)),
            ValueError,
            "key must have as many rows as query, 4",
            "(2, 5, 4)",
        ),
    ],
)
def test_errors(call, error, starts, says, own_errors):
    with refused(error, starts, says):
        call()
