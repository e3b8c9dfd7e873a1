"""Each dtype against float64 on the same, already rounded inputs: what is compared is the arithmetic, not the rounding.

float32 and float64 lose a few units in the last place in the scores, which the exponential carries into the weights.
Half precision computes in float32, so the readable form owes nothing but the last rounding: half a unit in the last
place of the output. The fused kernel also rounds the weights to half before it averages: with eps the distance from 1
to the next number, that is eps/2 of the largest value, and eps/2 for the last rounding.
"""

import pytest
import torch

from attnbook import attention, attention_weights, scaled_dot_product_attention
from attnbook.scores import Additive, Concat, General, Location, dot, scaled_dot
from tests.attnbook import reference
from tests.attnbook.reference import as_float64, check, inputs

HALF = [torch.float16, torch.bfloat16]
FULL = [torch.float32, torch.float64]
SHAPES = (2, 6, 9, 8), (2, 3, 33, 8), (2, 3, 33, 8)


def options(dtype, device, bias_dtype=None):
    mask = torch.rand(9, 33, generator=torch.Generator().manual_seed(5)) < 0.7
    mask[3] = False
    (bias,) = inputs((6, 9, 33), seed=6, dtype=bias_dtype or dtype)
    return {"mask": mask.to(device), "bias": bias.to(device)}


def rounding(dtype, expected):
    """Half the distance between neighboring numbers of a dtype, at each expected value."""
    expected = torch.as_tensor(expected)
    exponent = torch.frexp(expected.abs().clamp(min=torch.finfo(dtype).tiny))[1] - 1
    return torch.finfo(dtype).eps / 2 * torch.exp2(exponent.double())


def within(actual, expected, bound):
    error = (actual.detach().cpu().double() - torch.as_tensor(expected)).abs()
    assert (error <= bound).all(), f"off by {(error / bound).max():.2f} times the bound"


@pytest.mark.parametrize("dtype", FULL)
def test_full_precision(dtype, device):
    query, key, value = inputs(*SHAPES, dtype=dtype, device=device)
    given = options(dtype, device)
    expected, expected_weights = reference.attend_batch(query, key, value, **given)
    output, weights = attention(query, key, value, **given)
    fused = scaled_dot_product_attention(query, key, value, **given)
    assert output.dtype == weights.dtype == fused.dtype == dtype
    few = 16 * torch.finfo(dtype).eps  # scores below 8 in size, off by less than 1 eps of that; values below 4
    check(weights, expected_weights, atol=few)
    check(output, expected, atol=4 * few)
    check(fused, expected, atol=4 * few)


@pytest.mark.parametrize("dtype", HALF)
def test_the_readable_form_in_half_precision_is_float32_rounded_once(dtype, device):
    query, key, value = inputs(*SHAPES, dtype=dtype, device=device)
    given = options(dtype, device)
    expected, expected_weights = reference.attend_batch(query, key, value, **given)
    output, weights = attention(query, key, value, **given)
    assert output.dtype == weights.dtype == dtype
    float32 = 64 * torch.finfo(torch.float32).eps
    within(weights, expected_weights, rounding(dtype, expected_weights) + float32)
    within(output, expected, rounding(dtype, expected) + float32)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("given", ["nothing", "mask and bias", "a float32 bias", "causal", "values of another size"])
def test_the_fused_form_in_half_precision(dtype, given, device):
    query, key, value = inputs(*SHAPES, dtype=dtype, device=device)
    more, causal = {}, {}
    if given == "mask and bias":
        more = options(dtype, device)
    elif given == "a float32 bias":
        more = options(dtype, device, torch.float32)
    elif given == "values of another size":
        value = value[..., :5]
    elif given == "causal":
        more = {"mask": torch.ones(9, 33, dtype=torch.bool, device=device).tril(24)}
        causal = {"causal": True}
    expected, _ = reference.attend_batch(query, key, value, **more)
    output = scaled_dot_product_attention(query, key, value, **(causal or more))
    assert output.dtype == dtype
    eps, largest = torch.finfo(dtype).eps, value.abs().max().item()
    within(output, expected, eps / 2 * largest + rounding(dtype, expected) + 1e-5)


@pytest.mark.parametrize("form", ["readable", "fused"])
@pytest.mark.parametrize("dtype", HALF)
def test_a_bias_is_not_rounded_to_half(form, dtype, device):
    """-1e9 and 1e5 are no float16: as float32 they are a bias like any other, in both forms."""
    query, key, value = inputs(*SHAPES, dtype=dtype, device=device)
    bias = torch.full((9, 33), -1e9, device=device)
    bias[:, 4] = 1e5
    bias[0] = -1e9  # the same for each key: the bias changes nothing
    run = scaled_dot_product_attention if form == "fused" else lambda *x, **o: attention(*x, **o)[0]
    output = run(query, key, value, bias=bias)
    expected = reference.attend_batch(query, key, value, bias=bias.expand(9, 33)[None].float())[0][:, :, 1:]
    check(output[:, :, 1:], expected, atol=1e-5)
    assert output.dtype == dtype and output.isfinite().all()


@pytest.mark.parametrize("dtype", HALF)
def test_gradients_in_half_precision(dtype, device):
    """Close to float64's: each of the few roundings on the way costs a relative eps of the largest gradient."""
    half = inputs(*SHAPES, dtype=dtype, device=device, grad=True)
    full = [x.detach().double().requires_grad_() for x in half]
    attention(*full)[0].square().sum().backward()
    for run in (lambda *x: attention(*x)[0], scaled_dot_product_attention):
        for x in half:
            x.grad = None
        run(*half).square().sum().backward()
        for x, exact in zip(half, full, strict=True):
            assert x.grad.dtype == dtype
            torch.testing.assert_close(
                x.grad.double(), exact.grad, atol=8 * torch.finfo(dtype).eps * exact.grad.abs().max().item(), rtol=0
            )


@pytest.mark.parametrize("dtype", HALF)
def test_scores_and_weights(dtype, device):
    """Scores of half-precision inputs are float32; weights of half-precision scores are rounded once."""
    query, key = inputs((3, 9, 8), (3, 33, 8), dtype=dtype, device=device)
    exact = query.double() @ key.double().transpose(-2, -1)
    for score, expected in ((dot, exact), (scaled_dot, exact / 8**0.5)):
        assert score(query, key).dtype == torch.float32
        check(score(query, key), as_float64(expected), atol=1e-5)
    scores, upstream = inputs((2, 9, 33), (2, 9, 33), dtype=dtype, device=device)
    scores.requires_grad_()
    weights = attention_weights(scores)
    expected = torch.softmax(scores.detach().double(), dim=-1).cpu()
    assert weights.dtype == dtype
    within(weights, expected, rounding(dtype, expected) + 1e-7)
    # The gradient too is computed from weights that were not rounded yet.
    weights.backward(upstream)
    g = upstream.cpu().double()
    expected = expected * (g - (expected * g).sum(-1, keepdim=True))
    within(scores.grad, expected, rounding(dtype, expected) + 1e-6)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("make", [(General, 8, 8), (Additive, 8, 8, 6), (Concat, 8, 8, 6), (Location, 8, 40)])
def test_learned_scores(dtype, make, device):
    """A module in half precision has half-precision layers inside: a few eps of what they add up; float32 comes out."""
    query, key = inputs((3, 9, 8), (3, 33, 8), dtype=dtype, device=device)
    form, *sizes = make
    score = form(*sizes).to(device, dtype)
    actual = score(query, key)
    expected = score.double()(query.double(), key.double())
    assert actual.dtype == torch.float32
    check(actual, as_float64(expected), atol=8 * torch.finfo(dtype).eps * expected.abs().max().item())
