"""With gradients off, weights may be written over scores: the same numbers, and nothing of the caller's changes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from attnbook import attention, attention_weights
from attnbook.scores import Location, dot, scaled_dot
from tests.attnbook.cases import cases
from tests.attnbook.reference import inputs


class Operations(TorchDispatchMode):
    """Records each softmax, and whether it writes over what it reads."""

    def __init__(self):
        super().__init__()
        self.softmaxes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "softmax" in function.overloadpacket.__name__:
            out = kwargs.get("out")
            self.softmaxes.append(out is not None and out.data_ptr() == args[0].data_ptr())
        return function(*args, **kwargs)


@settings(max_examples=100)
@given(data=st.data())
def test_the_same_numbers(data, device):
    """Rows with nothing to attend to included; the inputs stay as they are."""
    case = data.draw(cases(device=device))
    given_ = [x.clone() for x in (case.query, case.key, case.value)]
    options = {"mask": case.mask, "bias": case.bias}
    with_gradients = attention(case.query, case.key, case.value, **options)
    before = [None if x is None else x.clone() for x in options.values()]
    with torch.no_grad():
        without = attention(case.query, case.key, case.value, **options)
    for a, b in zip(without, with_gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-13, rtol=0)
    for a, b in zip((case.query, case.key, case.value), given_, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(options.values(), before, strict=True):
        assert a is b is None or torch.equal(a, b)


@pytest.mark.parametrize("option", ["nothing", "mask", "bias"])
def test_scores_that_somebody_holds_stay(option, device):
    query, key, value, scores = inputs((2, 4, 3), (2, 5, 3), (2, 5, 3), (2, 4, 5), device=device)
    before = scores.clone()
    mask = torch.ones(4, 5, dtype=torch.bool, device=device).tril()
    mask[0] = False
    options = {"nothing": {}, "mask": {"mask": mask}, "bias": {"bias": torch.ones(5, device=device)}}[option]
    with torch.no_grad():
        attention(query, key, value, score=lambda q, k: scores, **options)
        attention_weights(scores, options.get("mask"))
    assert torch.equal(scores, before)


def test_scores_of_which_many_share_memory(device):
    """The location score is an expanded view: one number stands in many places."""
    score = Location(3, 5).to(device, torch.float64)
    query, key, value = inputs((4, 3), (2, 5, 3), (2, 5, 3), device=device)
    mask = torch.ones(2, 4, 5, dtype=torch.bool, device=device)
    mask[0, :, 2:] = False
    exact = attention(query, key, value, score=score, mask=mask)
    with torch.no_grad():
        found = attention(query, key, value, score=score, mask=mask)
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=1e-13, rtol=0)


@pytest.mark.parametrize("score", [scaled_dot, dot])
@pytest.mark.parametrize("gradients", [True, False])
def test_what_is_not_a_number_is_not_hidden(score, gradients, device):
    """Only -inf in all places means nothing to attend to; NaN, or +inf, in a row stays to be seen."""
    query, key, value = inputs((4, 3), (5, 3), (5, 2), device=device)
    query[1] = torch.nan
    query[2] = torch.inf
    with torch.set_grad_enabled(gradients):
        output, weights = attention(query, key, value, score=score)
        closed, _ = attention(query, key, value, score=score, mask=torch.tensor(False, device=device))
    assert weights[[1, 2]].isnan().all() and output[[1, 2]].isnan().all()
    assert weights[[0, 3]].isfinite().all()
    assert (closed == 0).all()
    row = torch.tensor([[-torch.inf, torch.nan, 0.0], [-torch.inf, 0.0, 0.0], [-torch.inf] * 3], device=device)
    found = attention_weights(row)
    assert found[0].isnan().all() and found[1].tolist() == [0, 0.5, 0.5] and found[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("first", [True, False])
def test_one_column_does_not_decide(first, device):
    """The first key hidden from every query, and of two rows that hide it one that hides all."""
    (scores,) = inputs((3, 4), device=device)
    scores[:, 0] = -torch.inf
    if not first:
        scores[1] = -torch.inf
    weights = attention_weights(scores)
    kept = [0, 2] if not first else [0, 1, 2]
    torch.testing.assert_close(weights[kept][:, 1:], scores[kept][:, 1:].softmax(-1), atol=1e-15, rtol=0)
    assert (weights[:, 0] == 0).all()
    assert first or (weights[1] == 0).all()


def test_the_weights_lie_where_the_scores_lay(device):
    """No second matrix with gradients off; with them on, and for a score of the caller's own, there is one."""
    query, key, value = inputs((2, 4, 3), (2, 5, 3), (2, 5, 3), device=device)

    def softmax_in_place(**options):
        with Operations() as operations:
            attention(query, key, value, **options)
        return operations.softmaxes

    with torch.no_grad():
        assert softmax_in_place() == [True]
        assert softmax_in_place(score=lambda q, k: dot(q, k)) == [False]
    assert softmax_in_place() == [False]
