"""What holds for attention whatever the numbers: averages, invariances, causality."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnbook import attention, attention_weights, masks, scaled_dot_product_attention
from tests.attnbook.cases import cases
from tests.attnbook.reference import inputs

FORMS = {"readable": lambda *x, **options: attention(*x, **options)[0], "fused": scaled_dot_product_attention}
both_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
SEED = st.integers(0, 2**32)


@given(data=st.data())
def test_weights_are_a_distribution_or_nothing(data, device):
    case = data.draw(cases(device=device))
    _, weights = case.readable()
    assert ((weights >= 0) & (weights <= 1)).all()
    if case.mask is not None:
        assert (weights.masked_select(~case.mask.expand(weights.shape)) == 0).all()
    sums = weights.sum(-1)
    something = (weights != 0).any(-1)
    torch.testing.assert_close(sums, something.double(), atol=1e-12, rtol=0)


@given(data=st.data())
def test_outputs_lie_between_the_smallest_and_the_largest_value(data, device):
    """Component by component; 0 where there is nothing to average."""
    case = data.draw(cases(device=device, least=1))
    output, weights = case.readable()
    value = case.value
    if value.dim() >= 4 and case.query.dim() >= 4 and value.shape[-3] < case.query.shape[-3]:
        value = value.repeat_interleave(case.query.shape[-3] // value.shape[-3], dim=-3)
    shown = (weights > 0).unsqueeze(-1)
    value = value.unsqueeze(-3).masked_fill(~shown, torch.nan)
    lowest, highest = value.nan_to_num(torch.inf).amin(-2), value.nan_to_num(-torch.inf).amax(-2)
    empty = ~shown.any(-2)
    lowest, highest = lowest.masked_fill(empty, 0), highest.masked_fill(empty, 0)
    for x in (output, case.fused()):
        assert ((x >= lowest - 1e-12) & (x <= highest + 1e-12)).all()


@both_forms
@given(seed=SEED, n=st.integers(1, 20))
def test_outputs_lie_in_the_triangle_of_three_values(form, n, seed):
    """Barycentric coordinates, solved for without the weights, are not negative and sum to 1."""
    query, key, value = inputs((1, 1, n, 3), (1, 1, 3, 3), (1, 1, 3, 2), seed=seed)
    output = form(3 * query, key, value)[0, 0]
    corners = torch.cat([value[0, 0].T, torch.ones(1, 3, dtype=torch.float64)])
    points = torch.cat([output.T, torch.ones(1, n, dtype=torch.float64)])
    slack = 1e-12 * torch.linalg.cond(corners)
    assert (torch.linalg.solve(corners, points) >= -slack).all()


@both_forms
@given(seed=SEED, m=st.integers(2, 9))
def test_outputs_lie_in_the_convex_hull(form, m, seed):
    """In no direction does an output reach past the furthest value: all normals of the hull are among those tried."""
    query, key, value = inputs((1, 1, 5, 3), (1, 1, m, 3), (1, 1, m, 2), seed=seed)
    output = form(3 * query, key, value)[0, 0]
    points = value[0, 0]
    edges = (points.unsqueeze(0) - points.unsqueeze(1)).reshape(-1, 2)
    normals = torch.stack([-edges[:, 1], edges[:, 0]], dim=1)  # an edge of the hull joins two of the points
    assert ((output @ normals.T).amax(0) <= (points @ normals.T).amax(0) + 1e-12).all()


@given(seed=SEED, shift=st.floats(-1e3, 1e3))
def test_a_constant_added_to_a_row_of_scores_changes_nothing(seed, shift, device):
    (scores, shifts) = inputs((4, 6), (4, 1), seed=seed, device=device)
    shifted = attention_weights(scores + shift * shifts)
    torch.testing.assert_close(shifted, attention_weights(scores), atol=1e-11, rtol=0)


@both_forms
@given(seed=SEED)
def test_a_vector_added_to_all_keys_changes_nothing(form, seed, device):
    """It adds the same to each score of a query."""
    query, key, value, shift = inputs((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (1, 1, 1, 5), seed=seed, device=device)
    torch.testing.assert_close(form(query, key + shift, value), form(query, key, value), atol=1e-12, rtol=0)


@both_forms
@given(seed=SEED, n=st.integers(1, 6), m=st.integers(1, 7))
def test_order(form, seed, n, m, device):
    """Keys and values in another order: nothing changes. Queries in another order: the rows move along."""
    query, key, value = inputs((2, 1, n, 5), (2, 1, m, 5), (2, 1, m, 5), seed=seed, device=device)
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(n, m, generator=generator) < 0.6).to(device)
    rows, columns = (torch.randperm(x, generator=generator).to(device) for x in (n, m))
    output = form(query, key, value, mask=mask)
    reordered = form(query, key[:, :, columns], value[:, :, columns], mask=mask[:, columns])
    torch.testing.assert_close(reordered, output, atol=1e-13, rtol=0)
    moved = form(query[:, :, rows], key, value, mask=mask[rows])
    torch.testing.assert_close(moved, output[:, :, rows], atol=1e-13, rtol=0)


@both_forms
@given(seed=SEED, lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4), more=st.integers(0, 3))
def test_padding_changes_nothing(form, seed, lengths, more, device):
    """Sequences padded into one batch give what each gives alone, whatever stands in the padding; no gradient there."""
    m = max(lengths) + more
    shapes = (len(lengths), 2, 3, 4), (len(lengths), 2, m, 4), (len(lengths), 2, m, 4)
    query, key, value = inputs(*shapes, seed=seed, device=device, grad=True)
    output = form(query, key, value, mask=masks.padding(torch.tensor(lengths, device=device), m))
    output.sum().backward()
    for b, length in enumerate(lengths):
        alone = form(query[b : b + 1], key[b : b + 1, :, :length], value[b : b + 1, :, :length])
        torch.testing.assert_close(output[b : b + 1], alone, atol=1e-13, rtol=0)
        assert (key.grad[b, :, length:] == 0).all() and (value.grad[b, :, length:] == 0).all()


@pytest.mark.parametrize(("form", "how"), [("readable", "mask"), ("fused", "mask"), ("fused", "causal")])
@given(seed=SEED, later=st.integers(1, 7))
def test_the_future_cannot_be_seen(form, how, seed, later, device):
    """Keys and values from some position on are replaced: the rows before it stay the same, to the last bit."""
    form = FORMS[form]
    query, key, value, other = inputs((2, 3, 8, 4), *[(2, 3, 8, 4)] * 3, seed=seed, device=device)
    options = {"mask": masks.causal(8, device=device)} if how == "mask" else {"causal": True}
    before = form(query, key, value, **options)
    key, value = (torch.cat([x[:, :, :later], 9 * other[:, :, later:]], dim=2) for x in (key, value))
    after = form(query, key, value, **options)
    assert torch.equal(after[:, :, :later], before[:, :, :later])
    assert (after[:, :, later:] != before[:, :, later:]).any(-1).all()  # and each later row does change


@both_forms
@given(data=st.data())
def test_a_mask_is_a_bias_of_minus_infinity(form, data, device):
    n, m = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    seed = data.draw(SEED)
    query, key, value = inputs((2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 4), seed=seed, device=device, grad=True)
    mask = (torch.rand(3, n, m, generator=torch.Generator().manual_seed(seed)) < 0.4).to(device)
    bias = torch.zeros(mask.shape, dtype=torch.float64, device=device).masked_fill(~mask, -torch.inf)
    by_mask, by_bias = form(query, key, value, mask=mask), form(query, key, value, bias=bias)
    torch.testing.assert_close(by_mask, by_bias, atol=1e-13, rtol=0)
    gradients = [torch.autograd.grad(x.square().sum(), (query, key, value)) for x in (by_mask, by_bias)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


@both_forms
@given(seed=SEED)
def test_linear_in_the_values(form, seed, device):
    query, key, a, b = inputs((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 5), (2, 3, 6, 5), seed=seed, device=device)
    combined = form(query, key, 2 * a - 3 * b)
    torch.testing.assert_close(combined, 2 * form(query, key, a) - 3 * form(query, key, b), atol=1e-12, rtol=0)
    constant = form(query, key, torch.full_like(a, 1.25))  # an average of equal values is that value
    torch.testing.assert_close(constant, torch.full_like(constant, 1.25), atol=1e-14, rtol=0)
