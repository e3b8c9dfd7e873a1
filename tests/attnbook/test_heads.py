"""Fewer key heads than query heads: neighbors share, in both forms, and what does not divide is refused."""

import pytest
import torch

from attnbook import attention, scaled_dot_product_attention
from tests.attnbook import reference
from tests.attnbook.reference import check, inputs

FORMS = {"readable": lambda *x, **options: attention(*x, **options)[0], "fused": scaled_dot_product_attention}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


@pytest.mark.parametrize(("key_heads", "value_heads"), [(6, 6), (3, 3), (2, 2), (1, 1), (3, 1), (1, 2), (6, 3), (3, 2)])
def test_each_key_head_serves_a_group_of_neighbors(form, key_heads, value_heads, device):
    shapes = (2, 6, 4, 5), (2, key_heads, 7, 5), (2, value_heads, 7, 5)
    query, key, value = inputs(*shapes, device=device, grad=True)
    mask = torch.rand(2, 6, 4, 7, generator=torch.Generator().manual_seed(1)).to(device) < 0.7
    check(form(query, key, value, mask=mask), reference.attend_batch(query, key, value, mask=mask)[0], atol=1e-13)

    # The gradient of a shared head is the sum over the query heads that share it.
    form(query, key, value, mask=mask).square().sum().backward()
    own = [
        query.detach().clone().requires_grad_(),
        *(x.detach()[:, [h * x.shape[1] // 6 for h in range(6)]].requires_grad_() for x in (key, value)),
    ]
    form(*own, mask=mask).square().sum().backward()
    torch.testing.assert_close(query.grad, own[0].grad, atol=1e-12, rtol=0)
    for x, repeated in zip((key, value), own[1:], strict=True):
        torch.testing.assert_close(x.grad, repeated.grad.unflatten(1, (x.shape[1], -1)).sum(2), atol=1e-12, rtol=0)


def test_one_query_head_reads_many_key_heads(form, device):
    query, key, value = inputs((2, 1, 4, 5), (2, 3, 7, 5), (2, 3, 7, 6), device=device)
    expected = reference.attend_batch(query.expand(2, 3, 4, 5), key, value)[0]
    check(form(query, key, value), expected, atol=1e-13)


def test_heads_in_groups_with_more_leading_axes(form, device):
    query, key, value = inputs((3, 2, 4, 4, 5), (2, 2, 7, 5), (3, 1, 2, 7, 5), device=device)
    output = form(query, key, value)
    for a in range(3):
        expected = reference.attend_batch(query[a], key, value[a].expand(2, 2, 7, 5))[0]
        check(output[a], expected, atol=1e-13)


def test_without_a_head_axis_nothing_is_shared(form, own_errors):
    """Three axes are (batch, length, dim): 6 queries' batch against 3 keys' is a mistake, not a group."""
    with pytest.raises(ValueError, match=r"^key must have leading axes .* \(6,\); got shape \(3, 7, 5\)"):
        form(*inputs((6, 4, 5), (3, 7, 5), (3, 7, 5)))


@pytest.mark.parametrize(("name", "key_heads", "value_heads"), [("key", 4, 4), ("value", 3, 4), ("key", 5, 1)])
def test_heads_that_do_not_divide(form, name, key_heads, value_heads, own_errors):
    shapes = {"key": (2, key_heads, 7, 5), "value": (2, value_heads, 7, 5)}
    with pytest.raises(ValueError, match=f"^{name} must have heads .* divides the query's, 6; got shape") as error:
        form(*inputs((2, 6, 4, 5), *shapes.values()))
    assert str(shapes[name]) in str(error.value)


@pytest.mark.parametrize("name", ["key", "value"])
def test_more_key_heads_than_query_heads(form, name, own_errors):
    shapes = {"key": (1, 2, 7, 5), "value": (1, 2, 7, 5)} | {name: (1, 4, 7, 5)}
    with pytest.raises(ValueError, match=rf"^{name} must have leading axes .*got shape \(1, 4, 7, 5\)"):
        form(*inputs((1, 2, 4, 5), *shapes.values()))
