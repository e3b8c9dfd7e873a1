"""The mask painter: the same booleans as attnbook.masks, the reach of layers, errors, copied code."""

import itertools

import pytest
import torch

from attnbook import masks
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
]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_page_makes_the_same_mask_and_reach(state):
    painter = MaskPainter(**state)
    found = on_screen(painter, "look(model)")
    assert found["mask"] == painter.mask.tolist()
    assert found["reach"] == painter.reach.tolist()
    assert found["open"] == painter.mask.sum()


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
    orders = MaskPainter(seed=3).orders
    for n, count in ((4, 1), (9, 4), (16, 6)):
        found = evaluate("masks.js", "randomMask(n, order, count)", n=n, order=orders[str(n)], count=count)
        assert found == masks.random_block(n, size=1, count=count, seed=3).tolist()


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
        ({"causal": "yes"}, TypeError, "'causal' trait .* expected a boolean"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        MaskPainter(**change)
