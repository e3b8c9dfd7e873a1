"""Shaw's relative positions against Equations 3 and 4 of the paper in plain loops."""

import math

import numpy as np
import pytest
import torch

from attnbook import attention, masks
from attnbook.positions import RelativeShaw
from tests.attnbook.reference import as_float64, check, inputs, softmax


def by_loops(query, key, value, key_table, value_table, reach, mask=None):
    """z_i = sum_j alpha_ij (v_j + a^V_ij), e_ij = q_i (k_j + a^K_ij) / sqrt(d), for arrays (length, d)."""
    n, m, d = len(query), len(key), query.shape[1]
    output, weights = np.zeros((n, d)), np.zeros((n, m))
    for i in range(n):
        row = [max(-reach, min(reach, j - (i + m - n))) + reach for j in range(m)]
        scores = [
            sum(query[i, c] * (key[j, c] + key_table[row[j], c]) for c in range(d)) / math.sqrt(d)
            if mask is None or mask[i, j]
            else -math.inf
            for j in range(m)
        ]
        weights[i] = softmax(scores)
        for j in range(m):
            output[i] += weights[i, j] * (value[j] + (0 if value_table is None else value_table[row[j]]))
    return output, weights


def shaw(reach, device, values=True):
    return RelativeShaw(4, reach, values=values).to(device, torch.float64)


@pytest.mark.parametrize("reach", [0, 1, 3, 20])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (2, 6), (5, 3)])
@pytest.mark.parametrize("values", [True, False])
def test_the_equations(reach, n, m, values, device):
    positions = shaw(reach, device, values)
    query, key, value = inputs((2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 4), device=device)
    mask = masks.causal(n, m, device=device)
    for hidden in (None, mask):
        output, weights = positions(query, key, value, mask=hidden)
        for b, h in np.ndindex(2, 3):
            expected = by_loops(
                *(as_float64(x[b, h]) for x in (query, key, value)),
                as_float64(positions.key_table),
                as_float64(positions.value_table) if values else None,
                reach,
                None if hidden is None else hidden.cpu().numpy(),
            )
            if hidden is not None and n > m:  # rows that see nothing hand over nothing
                assert (expected[0][: n - m] == 0).all()
            check(output[b, h], expected[0], atol=1e-12)
            check(weights[b, h], expected[1], atol=1e-13)


def test_the_parts_make_the_whole(device):
    positions = shaw(2, device)
    query, key, value, bias = inputs((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4), (3, 5, 7), device=device)
    output, weights = positions(query, key, value, bias=bias)
    plain, same = attention(query, key, value, score=positions.score, bias=bias)
    assert torch.equal(weights, same)
    torch.testing.assert_close(output, plain + positions.value_output(weights))
    extra = positions.key_scores(query, 7)
    torch.testing.assert_close(positions.score(query, key), (query @ key.mT + extra) / 2)
    by_bias, _ = attention(query, key, value, bias=bias + extra / 2)
    torch.testing.assert_close(plain, by_bias)


def test_gradients_reach_the_rows_that_are_used(device):
    positions = shaw(3, device)
    query, key, value = inputs((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), device=device, grad=True)
    positions(query, key, value, mask=masks.causal(3, device=device))[0].square().sum().backward()
    for table in (positions.key_table, positions.value_table):
        used = table.grad.abs().sum(dim=1) > 0
        assert used.tolist() == [False, True, True, True, False, False, False]  # distances -2, -1, 0
    tables = (positions.key_table, positions.value_table)

    def loss(query, key, value, *changed):
        named = dict(zip(("key_table", "value_table"), changed, strict=True))
        return torch.func.functional_call(positions, named, (query, key, value))

    assert torch.autograd.gradcheck(loss, (query, key, value, *tables))


def test_grouped_heads_share_their_keys_and_values(device):
    positions = shaw(2, device)
    query, key, value = inputs((2, 6, 5, 4), (2, 3, 5, 4), (2, 3, 5, 4), device=device)
    repeated = (x.repeat_interleave(2, dim=1) for x in (key, value))
    for ours, expected in zip(positions(query, key, value), positions(query, *repeated), strict=True):
        torch.testing.assert_close(ours, expected)


def test_fewer_queries_give_the_last_rows(device):
    positions = shaw(2, device)
    (x,) = inputs((2, 3, 7, 4), device=device)
    whole = positions(x, x, x, mask=masks.causal(7, device=device))
    part = positions(x[..., -2:, :], x, x, mask=masks.causal(2, 7, device=device))
    for ours, expected in zip(part, whole, strict=True):
        torch.testing.assert_close(ours, expected[..., -2:, :])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, device):
    positions = RelativeShaw(4, 2).to(device, dtype)
    (x,) = inputs((2, 3, 7, 4), dtype=dtype, device=device)
    assert positions.key_scores(x, 7).dtype == torch.float32
    output, weights = positions(x, x, x)
    assert output.dtype == weights.dtype == dtype
    wide = RelativeShaw(4, 2).to(device)
    wide.load_state_dict({name: table.float() for name, table in positions.state_dict().items()})
    torch.testing.assert_close(output.float(), wide(*[x.float()] * 3)[0], atol=3 * torch.finfo(dtype).eps, rtol=0.02)


def test_the_first_weights():
    positions = RelativeShaw(64, 100)
    for table in positions.parameters():
        assert table.shape == (201, 64) and table.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert len(list(RelativeShaw(64, 3, values=False).parameters())) == 1
