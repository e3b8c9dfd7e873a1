"""Positions: the page's functions of distance against attnbook.positions, errors, copied code."""

import itertools

import pytest
import torch

from attnbook.positions import Rotary, alibi_slopes, sinusoidal, t5_bucket
from attnbook.widgets import Positions
from attnbook.widgets.positions import FORMS, REACH
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

STATES = [
    {"form": form, "query_position": i, "key_position": j, "size": size, "angle": angle, "head": head}
    for form, (i, j), (size, angle, head) in itertools.product(
        FORMS, ((12, 8), (0, 48), (48, 0), (7, 7)), ((2, 0, 0), (64, 135, 7))
    )
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: " ".join(map(str, state.values())))
def test_the_page_computes_what_attnbook_computes(state):
    positions = Positions(**state)
    found = on_screen(positions, "look(model)")
    assert found["value"] == pytest.approx(positions.value, rel=1e-12, abs=1e-12)
    matrix = positions.matrix(REACH + 1)
    expected = torch.cat([matrix[1:, 0].flip(0), matrix[0]])
    torch.testing.assert_close(torch.tensor(found["curve"], dtype=torch.float64), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("state", STATES[::3], ids=lambda state: " ".join(map(str, state.values())))
def test_the_copied_python_gives_the_number_on_the_screen(state):
    positions = Positions(**state)
    assert copied(positions)["value"] == pytest.approx(positions.value, rel=1e-6)


def test_only_the_distance_counts():
    for form in FORMS:
        matrix = Positions(form=form, angle=30).matrix(20)
        for offset in range(-19, 20):
            diagonal = matrix.diagonal(offset)
            assert (diagonal.max() - diagonal.min()).abs() < 1e-12


def test_tables_and_turns():
    for size in (2, 8, 64):
        table = sinusoidal(60, size, dtype=torch.float64)
        found = evaluate("positions_model.js", "[0, 1, 31, 59].map((p) => sinusoidalRow(p, size, 10000))", size=size)
        torch.testing.assert_close(
            torch.tensor(found, dtype=torch.float64), table[[0, 1, 31, 59]], rtol=1e-12, atol=1e-12
        )
        x = torch.randn(1, size, dtype=torch.float64)
        turned = Rotary(size, base=500.0, layout="interleaved")(x, start=17)
        found = evaluate("positions_model.js", "rotaryTurn(x, 17, 500)", x=x[0].tolist())
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), turned[0], rtol=1e-12, atol=1e-12)


def test_slopes_and_buckets():
    for heads in (1, 2, 8, 16):
        found = evaluate("positions_model.js", "alibiSlopes(heads)", heads=heads)
        torch.testing.assert_close(torch.tensor(found), alibi_slopes(heads))
    distance = torch.arange(-700, 701)
    for buckets, longest in ((32, 128), (8, 20), (64, 512), (4, 3)):
        found = evaluate(
            "positions_model.js",
            "distance.map((d) => t5Bucket(d, buckets, longest))",
            distance=distance.tolist(),
            buckets=buckets,
            longest=longest,
        )
        assert found == t5_bucket(distance, n_buckets=buckets, max_distance=longest).tolist()


def test_what_chapter_9_asks():
    """One pair comes back near its own place at these distances first."""
    row = Positions(form="rotary", size=2).matrix(REACH + 1)[0]
    best = (row[1:].argsort(descending=True)[:5] + 1).tolist()
    assert sorted(best) == [6, 19, 25, 38, 44]
    assert round(row[44].item(), 4) == 0.9998


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"form": "learned"}, ValueError, "form must be one of sinusoidal, rotary, alibi, t5; got 'learned'"),
        ({"query_position": 49}, ValueError, "query_position must be from 0 to 48; got 49"),
        ({"size": 6}, ValueError, "size must be one of 2, 4, 8, 16, 32, 64; got 6"),
        ({"base": 1.0}, ValueError, r"base must be a number above 1; got 1\.0"),
        ({"biases": [1.0]}, ValueError, "biases must have 32 rows; got 1"),
        ({"head": 8}, ValueError, "head must be from 0 to 7; got 8"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Positions(**change)
