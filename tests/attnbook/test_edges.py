"""Where attention usually breaks: nothing to attend to, one key, empty tensors, scores in the thousands."""

import math

import pytest
import torch

from attnbook import attention, attention_weights, scaled_dot_product_attention
from attnbook.scores import dot
from tests.attnbook import reference
from tests.attnbook.reference import check, inputs

FORMS = {"readable": lambda *x, **options: attention(*x, **options)[0], "fused": scaled_dot_product_attention}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def closed_row(how, n, m, row, device):
    """A mask, a bias or both that leave one query nothing to attend to."""
    mask = torch.ones(n, m, dtype=torch.bool, device=device)
    bias = torch.zeros(n, m, dtype=torch.float64, device=device)
    if how == "mask":
        mask[row] = False
        return {"mask": mask}
    if how == "bias":
        bias[row] = -torch.inf
        return {"bias": bias}
    mask[row, : m // 2] = False  # each alone leaves something, both together nothing
    bias[row, m // 2 :] = -torch.inf
    return {"mask": mask, "bias": bias}


@pytest.mark.parametrize("how", ["mask", "bias", "both"])
@pytest.mark.parametrize("size", [(4, 5), (70, 1100)])  # the second is larger than the tiles of the kernels
@pytest.mark.parametrize("bias_learns", [False, True])
def test_a_query_with_nothing_to_attend_to(form, how, size, bias_learns, device):
    """Zero output and zero gradient for its row, and no trace of it anywhere else."""
    n, m = size
    query, key, value = inputs((1, 2, n, 4), (1, 2, m, 4), (1, 2, m, 4), device=device, grad=True)
    options = closed_row(how, n, m, 1, device)
    if bias_learns and "bias" in options:
        options["bias"].requires_grad_()
    output = form(query, key, value, **options)
    assert (output[:, :, 1] == 0).all()
    output.square().sum().backward()
    learned = [query, key, value] + [b for b in options.values() if b.requires_grad]
    assert all(x.grad.isfinite().all() for x in learned)
    assert (query.grad[:, :, 1] == 0).all()
    assert all((b.grad[1] == 0).all() for b in learned[3:])

    rest = [i for i in range(n) if i != 1]
    other = [x.detach().clone().requires_grad_() for x in (query, key, value)]
    kept = {name: x.detach()[rest] for name, x in options.items()}
    without = form(other[0][:, :, rest], *other[1:], **kept)
    torch.testing.assert_close(output[:, :, rest], without, atol=1e-12, rtol=0)
    without.square().sum().backward()
    for x, y in zip((query, key, value), other, strict=True):
        torch.testing.assert_close(x.grad, y.grad, atol=1e-12, rtol=0)


def test_weights_of_a_row_with_nothing_to_attend_to(device):
    (scores,) = inputs((3, 4), device=device)
    scores[1] = -torch.inf
    scores.requires_grad_()
    mask = torch.ones(3, 4, dtype=torch.bool, device=device)
    mask[2] = False
    weights = attention_weights(scores, mask)
    assert weights[1:].tolist() == [[0.0] * 4] * 2
    check(weights[0], reference.softmax(scores[0].tolist()), atol=1e-15)
    (gradient,) = torch.autograd.grad(weights[:, 0].sum(), scores)
    assert gradient.isfinite().all() and (gradient[1:] == 0).all() and (gradient[0] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_everything_masked(form, dtype, device):
    query, key, value = inputs((2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 8), dtype=dtype, device=device, grad=True)
    output = form(query, key, value, mask=torch.tensor(False, device=device))
    output.sum().backward()
    for x in (output, query.grad, key.grad, value.grad):
        assert x.dtype == dtype and (x == 0).all()


@pytest.mark.parametrize(
    ("q", "k", "v", "out"),
    [
        ((2, 3, 0, 4), (2, 3, 5, 4), (2, 3, 5, 6), (2, 3, 0, 6)),  # no queries
        ((2, 3, 5, 4), (2, 3, 0, 4), (2, 3, 0, 6), (2, 3, 5, 6)),  # no keys
        ((2, 3, 0, 4), (2, 3, 0, 4), (2, 3, 0, 6), (2, 3, 0, 6)),
        ((0, 3, 5, 4), (0, 3, 7, 4), (0, 3, 7, 6), (0, 3, 5, 6)),  # an empty batch
        ((0, 6, 5, 4), (1, 3, 7, 4), (1, 3, 7, 6), (0, 6, 5, 6)),
        ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 0), (2, 3, 5, 0)),  # values of no components
        ((5, 4), (0, 4), (0, 6), (5, 6)),
        ((0, 4), (7, 4), (7, 6), (0, 6)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"mask": True}, {"bias": 0.0}])
def test_empty(form, q, k, v, out, options, device):
    """An average of nothing is zero; nothing to average for gives nothing."""
    query, key, value = inputs(q, k, v, device=device, grad=True)
    options = {name: torch.tensor(x, device=device) for name, x in options.items()}
    output = form(query, key, value, **options)
    assert output.shape == out and (output == 0).all()
    output.sum().backward()
    assert all(x.grad.shape == x.shape and (x.grad == 0).all() for x in (query, key, value))
    if form is FORMS["fused"]:
        assert form(query, key, value, causal=True, **options).shape == out


def test_one_key(form, device):
    """Whatever the score, all weight goes to the only key: its value comes out, and the score gets no gradient."""
    query, key, value = inputs((2, 3, 4, 5), (2, 3, 1, 5), (2, 3, 1, 6), device=device, grad=True)
    output = form(query, key, value)
    torch.testing.assert_close(output, value.expand(2, 3, 4, 6), atol=0, rtol=0)
    output.sum().backward()
    assert query.grad.abs().max() < 1e-15 and key.grad.abs().max() < 1e-15
    assert (value.grad == 4).all()
    assert (attention(query, key, value)[1] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_of_ten_thousand(form, dtype, device):
    """exp(1e4) overflows every format; the difference to the largest score is what counts."""
    key = torch.tensor([[100.0, 0.0], [0.0, 100.0], [-100.0, 0.0]], dtype=dtype, device=device)[None, None]
    query = torch.tensor([[141.5, 0.0], [0.0, 141.5]], dtype=dtype, device=device)[None, None]
    value = torch.eye(3, dtype=dtype, device=device)[None, None, :, :2]
    output = form(query, key, value)
    assert dot(query, key).max() / math.sqrt(2) > 1e4 - 100
    assert output[0, 0].tolist() == [[1, 0], [0, 1]]
    both = form(query, key[:, :, [0, 0, 2]], value)  # two keys with the same huge score share
    assert both[0, 0, 0].tolist() == [0.5, 0.5]


def test_products_beyond_the_largest_float16(form, device):
    """300 * 300 * 4 = 360000 is not a float16, yet the scores differ by 0 and the output is an average."""
    query = torch.full((1, 1, 2, 4), 300.0, dtype=torch.float16, device=device)
    key = torch.full((1, 1, 3, 4), 300.0, dtype=torch.float16, device=device)
    value = torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float16, device=device)[None, None]
    assert (query @ key.transpose(-2, -1)).isinf().all()
    assert form(query, key, value).flatten().tolist() == [3, 3]
    assert form(query, key, value.expand(1, 1, 3, 4)).flatten().tolist() == [3] * 8


def test_a_long_run_of_keys_at_minus_infinity(form, device):
    """Whole tiles of keys without weight before the first that has some: no 0/0 inside an online softmax."""
    query, key, value = inputs((1, 1, 40, 4), (1, 1, 1500, 4), (1, 1, 1500, 4), device=device)
    bias = torch.zeros(40, 1500, device=device, dtype=torch.float64)
    bias[:, :1400] = -torch.inf
    expected = form(query, key[:, :, 1400:], value[:, :, 1400:])
    torch.testing.assert_close(form(query, key, value, bias=bias), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(form(query, key, value, mask=bias == 0), expected, atol=1e-12, rtol=0)
