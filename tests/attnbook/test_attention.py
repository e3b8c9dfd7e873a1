"""The definition against loops in float64, masks and biases included."""

import pytest
import torch

from attnbook import attention, attention_weights, scaled_dot_product_attention
from attnbook.scores import dot
from tests.attnbook import reference
from tests.attnbook.reference import check, inputs

Q, K, V = (2, 6, 4, 5), (2, 6, 7, 5), (2, 6, 7, 3)  # the value size differs from the key size


def some_mask(device="cpu"):
    mask = torch.rand(2, 1, 4, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[1, 0, 2] = False  # one query may attend to nothing
    return mask.to(device)


def some_bias(device="cpu"):
    (bias,) = inputs((6, 4, 7), seed=2)
    bias[3, 1, 4] = -torch.inf
    return bias.to(device)


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_loops_give_the_same(device, with_mask, with_bias):
    query, key, value = inputs(Q, K, V, device=device)
    options = {"mask": some_mask(device) if with_mask else None, "bias": some_bias(device) if with_bias else None}
    expected_output, expected_weights = reference.attend_batch(query, key, value, **options)
    output, weights = attention(query, key, value, **options)
    check(weights, expected_weights, atol=1e-14)
    check(output, expected_output, atol=1e-14)
    check(scaled_dot_product_attention(query, key, value, **options), expected_output, atol=1e-13)


def test_any_score_can_take_the_place_of_the_scaled_dot_product(device):
    query, key, value = inputs(Q, K, V, device=device)
    negative_distance = lambda q, k: -((q.unsqueeze(-2) - k.unsqueeze(-3)) ** 2).sum(-1)  # noqa: E731
    output, weights = attention(query, key, value, score=negative_distance)
    expected = reference.attend_batch(query, key, value, score=lambda q, k: -float(((q - k) ** 2).sum()))
    check(output, expected[0], atol=1e-14)
    check(weights, expected[1], atol=1e-14)


def test_queries_and_keys_may_differ_in_size_where_the_score_allows():
    query, key, value = inputs((3, 2), (4, 5), (4, 6))
    output, weights = attention(query, key, value, score=lambda q, k: q.sum(-1)[:, None] * k.prod(-1))
    expected = reference.attend(*map(reference.as_float64, (query, key, value)), score=lambda q, k: q.sum() * k.prod())
    check(output, expected[0], atol=1e-14)
    check(weights, expected[1], atol=1e-14)


def test_weights_of_scores_against_loops(device):
    (scores,) = inputs((3, 4, 5), device=device)
    mask = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) < 0.6
    weights = attention_weights(3 * scores, mask.to(device))
    for b in range(3):
        for i in range(4):
            row = [3 * float(s) if ok else float("-inf") for s, ok in zip(scores[b, i], mask[i], strict=True)]
            check(weights[b, i], reference.softmax(row), atol=1e-15)


@pytest.mark.parametrize("axes", range(6))
@pytest.mark.parametrize("function", [attention, scaled_dot_product_attention])
def test_leading_axes_from_none_to_five(axes, function, device):
    """Each element of the leading axes is its own attention, whichever of the inputs has the axes."""
    leading = (2, 3, 1, 2, 2)[:axes]
    query, key, value = inputs((*leading, 4, 5), (*leading[-2:], 6, 5), (*leading[-1:], 6, 3), device=device)
    output = function(query, key, value)
    output = output[0] if isinstance(output, tuple) else output
    assert output.shape == (*leading, 4, 3)
    everywhere = [x.expand(*leading, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (query, key, value)]
    for actual, *one in zip(output.reshape(-1, 4, 3), *everywhere, strict=True):
        check(actual, reference.attend(*map(reference.as_float64, one))[0], atol=1e-13)


@pytest.mark.parametrize("mask_shape", [(), (1,), (7,), (4, 1), (1, 7), (4, 7), (6, 1, 1), (2, 1, 1, 7), (2, 6, 4, 1)])
def test_a_mask_or_bias_broadcasts_to_the_scores(mask_shape, device):
    query, key, value = inputs(Q, K, V, device=device)
    mask = (torch.rand(mask_shape, generator=torch.Generator().manual_seed(3)) < 0.6).to(device)
    (bias,) = inputs(mask_shape, seed=4, device=device)
    for options in ({"mask": mask}, {"bias": bias}, {"mask": mask, "bias": bias}):
        expected, expected_weights = reference.attend_batch(query, key, value, **options)
        output, weights = attention(query, key, value, **options)
        check(weights, expected_weights, atol=1e-14)
        check(output, expected, atol=1e-14)
        check(scaled_dot_product_attention(query, key, value, **options), expected, atol=1e-13)


@pytest.mark.parametrize("function", [attention, scaled_dot_product_attention])
def test_memory_layout_does_not_matter(function, device):
    """Transposed, strided and expanded views give what their contiguous copies give."""
    query = inputs((2, 4, 6, 5), device=device)[0].transpose(1, 2)  # as a projection leaves it: (batch, length, heads)
    key = inputs((2, 6, 5, 14), device=device, seed=1)[0].transpose(2, 3)[:, :, ::2]
    value = inputs((1, 1, 7, 3), device=device, seed=2)[0].expand(2, 6, 7, 3)
    mask = torch.tensor([True, False], device=device).repeat(4, 7)[:, ::2].T.contiguous().T
    assert not (query.is_contiguous() or key.is_contiguous() or value.is_contiguous() or mask.is_contiguous())
    mask = mask | (torch.arange(7, device=device) % 3 == 0)
    views = function(query, key, value, mask=mask)
    copies = function(query.contiguous(), key.contiguous(), value.contiguous(), mask=mask.contiguous())
    torch.testing.assert_close(views, copies, atol=1e-14, rtol=0)


def test_inputs_are_left_as_they_were():
    query, key, value = inputs(Q, K, V)
    before = [x.clone() for x in (query, key, value, some_bias())]
    mask, bias = some_mask(), some_bias()
    attention(query, key, value, mask=mask, bias=bias)
    scaled_dot_product_attention(query, key, value, mask=mask, bias=bias, causal=True)
    assert all(torch.equal(a, b) for a, b in zip(before, (query, key, value, bias), strict=True))
    assert torch.equal(mask, some_mask())


def test_the_weights_are_what_the_output_was_averaged_with(device):
    query, key, value = inputs(Q, K, V, device=device)
    output, weights = attention(query, key, value, score=dot, mask=some_mask(device))
    torch.testing.assert_close(output, torch.einsum("bhij,bhjd->bhid", weights, value), atol=1e-14, rtol=0)
