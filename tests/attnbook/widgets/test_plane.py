"""The query in the plane: its arithmetic, its results in Python, its errors, its copied code."""

import itertools

import pytest
import torch

from attnbook.widgets import Plane
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

KEY = [[2.2, 0.4], [0.9, 1.9], [-1.0, 1.0], [-1.8, -1.2], [0.6, -1.6]]
VALUE = [[-2.0, 1.2], [1.8, 1.8], [2.2, -0.9], [0.2, -2.1], [-1.6, -1.4]]
PLANES = [
    Plane([1.5, -0.25], KEY, VALUE, score=score, temperature=temperature)
    for score, temperature in itertools.product(("dot", "scaled_dot", "cosine"), (0.05, 1.0, 20.0))
]


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"{plane.score} {plane.temperature}")
def test_the_page_computes_what_attnbook_computes(plane):
    found = on_screen(plane, "look(model)")
    for name in ("scores", "weights", "output"):
        expected = getattr(plane, name)
        torch.testing.assert_close(torch.tensor(found[name], dtype=torch.float64), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"{plane.score} {plane.temperature}")
def test_the_copied_python_gives_the_numbers_on_the_screen(plane):
    names = copied(plane)
    torch.testing.assert_close(names["output"][0], plane.output)
    torch.testing.assert_close(names["weights"][0], plane.weights)


def test_the_ends_of_the_temperature():
    """Cold: the best key alone. Hot: the mean of the values, as chapter 2 says."""
    cold = Plane([1.5, 1.5], KEY, VALUE, temperature=0.03)
    torch.testing.assert_close(cold.output, torch.tensor(VALUE[1]).double(), atol=1e-3, rtol=0)
    hot = Plane([1.5, 1.5], KEY, VALUE, temperature=1e9)
    torch.testing.assert_close(hot.output, torch.tensor([0.12, -0.28]).double(), atol=1e-6, rtol=0)


def side(a, b, p):
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


@pytest.mark.parametrize("count", [3, 5, 40])
def test_the_outline_is_the_convex_hull(count):
    """Its corners are among the points, it turns left at each, and no point lies outside of any side."""
    for points in (torch.randn(count, 2).tolist(), torch.randint(0, 4, (count, 2)).tolist()):
        hull = evaluate("geometry.js", "convexHull(points)", points=points)
        assert all(corner in points for corner in hull)
        for a, b, c in zip(hull, hull[1:] + hull[:1], hull[2:] + hull[:2], strict=True):
            assert len(hull) < 3 or side(a, b, c) > 0
            assert all(side(a, b, p) >= -1e-12 for p in points)


def test_no_output_leaves_the_hull():
    hull = evaluate("geometry.js", "convexHull(points)", points=VALUE)
    for query in (5 * torch.randn(200, 2)).tolist():
        output = Plane(query, KEY, VALUE).output.tolist()
        assert all(side(a, b, output) > -1e-12 for a, b in itertools.pairwise([*hull, hull[0]]))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"query": [1, 2, 3]}, ValueError, "query must have 2 rows; got 3"),
        ({"key": [[1, 2, 3]] * 5}, ValueError, r"key must have rows of 2 entries; got \[3"),
        ({"value": VALUE[:2]}, ValueError, "value must have 5 rows; got 2"),
        ({"score": "additive"}, ValueError, "score must be one of dot, scaled_dot, cosine; got 'additive'"),
        ({"temperature": -1.0}, ValueError, r"temperature must be positive; got -1\.0"),
        ({"reach": 0.0}, ValueError, r"reach must be positive; got 0\.0"),
        ({"key_names": ["A"]}, ValueError, "key_names must have 5 rows; got 1"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Plane(**({"query": [1, 2], "key": KEY, "value": VALUE} | change))


def test_a_picture():
    assert "query" in Plane([1, 2], KEY, VALUE).picture() or "<use" in Plane([1, 2], KEY, VALUE).picture()
