"""Saturation: the same random vectors in both languages, the Jacobian, the errors, the copied code."""

import itertools
import math

import pytest
import torch

from attnbook.widgets import Saturation
from attnbook.widgets.saturation import vectors
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

STATES = list(itertools.product((1, 64, 1024), (False, True), (0, 31)))


@pytest.mark.parametrize(("d_k", "scaled", "seed"), STATES)
def test_the_page_computes_what_attnbook_computes(d_k, scaled, seed):
    saturation = Saturation(d_k=d_k, scaled=scaled, seed=seed)
    found = on_screen(saturation, "look(model)")
    for name in ("scores", "weights", "jacobian"):
        expected = getattr(saturation, name)
        torch.testing.assert_close(torch.tensor(found[name], dtype=torch.float64), expected, rtol=1e-12, atol=1e-12)
    assert found["norm"] == pytest.approx(saturation.jacobian.norm().item(), rel=1e-12)


def test_the_vectors_are_the_same_and_grow_at_their_end():
    rows = evaluate("saturation_model.js", "[0, 1, 12].map((row) => normalRow(31, row, 1024))")
    query, key = vectors(n_keys=12, d_k=1024, seed=31)
    expected = torch.stack([query[0], key[0], key[11]])
    torch.testing.assert_close(torch.tensor(rows, dtype=torch.float64), expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(vectors(12, 16, 31)[1], key[:, :16])


def test_the_vectors_look_normal():
    """Mean 0, variance 1, kurtosis 3, no correlation of neighbors or of rows: within 4 standard errors."""
    rows = torch.cat([torch.cat(vectors(12, 1024, seed)) for seed in range(32)])
    count = rows.numel()
    assert abs(rows.mean()) < 4 / math.sqrt(count)
    assert abs(rows.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((rows**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert abs((rows[:, 1:] * rows[:, :-1]).mean()) < 4 / math.sqrt(count)
    assert abs((rows[1:] * rows[:-1]).mean()) < 4 / math.sqrt(count)
    assert len(set(rows.flatten().tolist())) > 0.999 * count


def test_the_curves_are_medians_of_the_jacobians_norm():
    """Float64 NumPy-style loops on other random numbers come out close; equal weights give sqrt(7)/8."""
    curves = Saturation().curves
    assert curves["scaled"][0] == curves["unscaled"][0]
    assert max(curves["scaled"]) < 1.2 * min(curves["scaled"])
    assert curves["unscaled"][-1] < 1e-3
    torch.manual_seed(5)
    for d_k, expected in zip((4, 64), (curves["scaled"][2], curves["scaled"][6]), strict=True):
        norms = []
        for _ in range(400):
            weights = ((torch.randn(8, d_k) @ torch.randn(d_k)) / math.sqrt(d_k)).softmax(dim=0)
            norms.append(
                torch.tensor(
                    [[a * (float(i == j) - b) for j, b in enumerate(weights)] for i, a in enumerate(weights)]
                ).norm()
            )
        assert torch.stack(norms).median().item() == pytest.approx(expected, rel=0.1)
    equal = torch.full((8,), 1 / 8)
    assert (torch.diag(equal) - equal[:, None] * equal).norm().item() == pytest.approx(math.sqrt(7) / 8)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_copied_python_gives_the_numbers_on_the_screen(scaled):
    saturation = Saturation(d_k=32, scaled=scaled, seed=3)
    names = copied(saturation)
    torch.testing.assert_close(names["weights"], saturation.weights)
    torch.testing.assert_close(names["jacobian"], saturation.jacobian)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"d_k": 3}, ValueError, "d_k must be a power of two from 1 to 1024; got 3"),
        ({"d_k": 2.5}, TypeError, r"'d_k' trait .* expected an int, not the float 2\.5"),
        ({"seed": 32}, ValueError, "seed must be from 0 to 31; got 32"),
        ({"n_keys": 1}, ValueError, "n_keys must be from 2 to 12; got 1"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Saturation(**change)
