"""The mask painter: the same booleans as attnbook.masks, the reach of layers, errors, copied code."""

import itertools
import json

import pytest
import torch

from attnbook import attention, leaks, masks
from attnbook.widgets import MaskPainter
from attnbook.widgets.mask_painter import PARTS
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

STATES = [
    {},
    {"causal": True, "layers": 3},
    {"padded": 3},
    {"padded": 6, "n": 4},
    {"parts": ["window"], "half_width": 2, "layers": 4},
    {"parts": ["strided"], "stride": 4, "causal": True, "padded": 2, "layers": 2},
    {"parts": ["window", "global"], "n_global": 2, "layers": 2},
    {"parts": ["block"], "block_size": 5, "n": 16, "layers": 6},
    {"parts": ["random"], "n_random": 2, "seed": 7, "layers": 2},
    {"parts": list(PARTS), "causal": True, "half_width": 0, "n": 13},
    {"painted": [[0, 11, True], [3, 3, False], [15, 2, True]], "causal": True},
    {"parts": ["window"], "half_width": 0, "n": 5, "painted": [[2, 2, False], [0, 4, True], [4, 1, True]], "layers": 2},
]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_page_makes_the_same_mask_and_reach(state):
    painter = MaskPainter(**state)
    found = on_screen(painter, "look(model)")
    assert found["mask"] == painter.mask.tolist()
    assert found["reach"] == painter.reach.tolist()
    assert found["open"] == painter.mask.sum()
    assert found["blind"] == (~painter.mask.any(dim=1)).nonzero().flatten().tolist()


@pytest.mark.parametrize("state", STATES, ids=str)
def test_reach_is_what_layers_with_residual_connections_pass_on(state):
    """No paths are counted here: attention runs, each input is changed, and the outputs that move are noted.

    tanh keeps scores small, so that no open pair has a weight too small to leave a trace in double precision.
    """
    painter = MaskPainter(**state)
    x = torch.randn(painter.n, 6, dtype=torch.float64)

    def stack(x):
        for _ in range(painter.layers):
            x = x + attention(x.tanh(), x.tanh(), x, mask=painter.mask)[0]
        return x

    assert torch.equal(leaks.influence(stack, x), painter.reach)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_copied_python_makes_the_mask_on_the_screen(state):
    painter = MaskPainter(**state)
    names = copied(painter)
    mask = names["mask"].expand(painter.n, painter.n)
    assert torch.equal(mask, painter.mask)
    assert names["share"] == pytest.approx(painter.share)
    assert torch.equal(names["reach"], painter.reach)


def test_every_part_at_every_size_and_setting():
    for n in (4, 7, 16):
        made = {
            "causalMask(n)": masks.causal(n),
            "paddingMask(n, 3)": masks.padding(torch.tensor([3]), n)[0, 0].expand(n, n),
            "globalMask(n, [0, 2])": masks.global_tokens(n, tokens=[0, 2]),
        }
        for a, b in itertools.product((0, 1, 5), (0, 2)):
            made[f"windowMask(n, {a}, {b})"] = masks.sliding_window(n, before=a, after=b)
        for size in range(1, 9):
            made[f"blockMask(n, {size})"] = masks.block(n, size=size)
            made[f"stridedMask(n, {size})"] = masks.strided(n, stride=size)
        found = evaluate("masks.js", f"[{', '.join(made)}]", n=n)
        assert found == [mask.tolist() for mask in made.values()]


def test_random_rows_are_those_of_attnbook():
    """At every size, count and seed that the explorer has."""
    limits, orders = MaskPainter.limits, MaskPainter().orders
    cases = list(itertools.product(limits["seed"], limits["n"], limits["n_random"]))
    found = evaluate(
        "masks.js", "cases.map(([seed, n, count]) => randomMask(n, orders[seed][n], count))", cases=cases, orders=orders
    )
    expected = [masks.random_block(n, size=1, count=count, seed=seed).tolist() for seed, n, count in cases]
    assert found == expected
    assert all(any(a != b for a, b in itertools.pairwise(expected[k :: len(cases) // 8])) for k in range(3))


def test_another_seed_draws_another_mask_in_both():
    painter = MaskPainter(parts=["random"])
    before = painter.mask
    painter.seed = 5
    assert not torch.equal(painter.mask, before)
    assert on_screen(painter, "look(model)")["mask"] == painter.mask.tolist()


def test_a_stroke_passes_every_pair_between_its_ends():
    for start, end in (((2, 5), (2, 11)), ((0, 0), (4, 4)), ((3, 3), (3, 3)), ((9, 1), (2, 4))):
        pairs = evaluate("masks.js", "stroke(start, end)", start=start, end=end)
        assert (pairs[0], pairs[-1]) == ([*start], [*end])
        steps = [max(abs(c - a), abs(d - b)) for (a, b), (c, d) in itertools.pairwise(pairs)]
        assert all(step == 1 for step in steps), "no pair is left out"


def test_the_painting_lies_over_the_explorers_own_mask_only():
    painter = MaskPainter(n=16, parts=["window"])
    plain = painter.mask
    painter.painted = [[0, 15, True], [4, 4, False]]
    assert (painter.mask != plain).nonzero().tolist() == [[0, 15], [4, 4]]
    assert torch.equal(painter.mask_of(16), plain)


def test_the_picture_shows_mask_and_reach():
    painter = MaskPainter(parts=["window"], layers=3)
    picture = painter.picture()
    assert f"mask, {100 * painter.share:.1f}% open" in picture and "seen after 3 layers" in picture
    painter.painted = [[0, 11, True]]
    assert painter.picture() != picture


def test_a_state_makes_the_same_painter_again():
    painter = MaskPainter(**STATES[-1], seed=2)
    again = MaskPainter(**{name: json.loads(text) for name, text in painter.state().items()})
    assert again.state() == painter.state() and torch.equal(again.reach, painter.reach)


def test_what_chapter_4_asks():
    """Paths through a window are one place longer a layer; blocks are never left; a global token needs two layers."""
    needed = evaluate("masks.js", "layersNeeded(windowMask(12, 1, 1))")
    assert needed[11][0] == 11
    assert needed == [[abs(i - j) for j in range(12)] for i in range(12)]
    assert evaluate("masks.js", "layersNeeded(blockMask(12, 4))")[11][0] is None, "infinity: never"
    both = MaskPainter(parts=["window", "global"], layers=2)
    assert both.reach.all() and both.mask.sum() == 54
    assert MaskPainter(parts=["window"]).mask.sum() == 34
    assert torch.equal(MaskPainter(causal=True, layers=6).reach, MaskPainter(causal=True).reach)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 17}, ValueError, "n must be from 4 to 16; got 17"),
        ({"layers": 0}, ValueError, "layers must be from 1 to 6; got 0"),
        ({"parts": ["windows"]}, ValueError, "parts must be one of window, .*; got 'windows'"),
        ({"painted": [[0, 1]]}, TypeError, r"painted must hold \[query, key, open\] triples; got \[0, 1\]"),
        ({"painted": [[0, 99, True]]}, ValueError, "painted must be from 0 to 15; got 99"),
        ({"painted": [[1.0, 1, True]]}, TypeError, "painted must be an integer; got float"),
        ({"seed": 8}, ValueError, "seed must be from 0 to 7; got 8"),
        ({"causal": "yes"}, TypeError, "'causal' trait .* expected a boolean"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        MaskPainter(**change)
