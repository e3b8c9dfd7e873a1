"""Pictures of weights and scores show the numbers they are given, and are the same bytes at each run."""

import io
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from attnbook import plots
from attnbook.plots import style

WEIGHTS = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.25, 0.75]])
SCORES = torch.tensor([[1.0, -4.0, 0.0], [2.0, -float("inf"), 0.5]])


@pytest.fixture(autouse=True)
def own_figure():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def luminance(color):
    """Relative luminance as WCAG 2 defines it."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def pixel_under(picture, ax, i, j):
    """The color near the corner of a cell, where no digit stands, as it was really drawn."""
    x, y = ax.transData.transform((j + 0.15, i + 0.15))
    return picture[len(picture) - 1 - int(y), int(x), :3]


def contrast(a, b):
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("given", [WEIGHTS, WEIGHTS.numpy(), WEIGHTS.clone().requires_grad_(), WEIGHTS.bfloat16()])
def test_one_row_a_query_one_column_a_key(given):
    grid = plots.weight_map(given, queries=["a", "b"], keys=["x", "y", "z"], title="title")
    np.testing.assert_allclose(grid.get_array(), WEIGHTS, atol=0.01)
    ax = grid.axes
    assert labels(ax.yaxis) == ["a", "b"] and labels(ax.xaxis) == ["x", "y", "z"]
    assert ax.get_title() == "title"
    assert ax.get_ylim() == (2, 0)  # the first query on top


def test_positions_where_there_are_no_names():
    ax = plots.weight_map(WEIGHTS).axes
    assert labels(ax.yaxis) == ["0", "1"] and labels(ax.xaxis) == ["0", "1", "2"]


def test_weights_always_run_from_0_to_1():
    """So that two figures can be compared; blank is 0, and more weight is always darker."""
    grid = plots.weight_map(WEIGHTS / 10)
    assert grid.get_clim() == (0, 1)
    shades = [luminance(grid.cmap(x)[:3]) for x in np.linspace(0, 1, 50)]
    assert shades[0] == pytest.approx(1) and all(a > b for a, b in pairwise(shades))


@pytest.mark.parametrize("scores", [SCORES, torch.zeros(2, 2), torch.full((2, 2), -float("inf")), -SCORES])
def test_scores_diverge_from_zero(scores):
    grid = plots.score_map(scores)
    low, high = grid.get_clim()
    finite = scores[scores.isfinite()].abs()
    assert low == -high and high == (finite.max().item() if finite.any() else 1)
    assert luminance(grid.cmap(grid.norm(0.0))[:3]) == pytest.approx(1, abs=0.02)
    assert to_rgb(grid.cmap(1.0)[:3])[2] > to_rgb(grid.cmap(1.0)[:3])[0]  # above: blue; below: brown
    assert to_rgb(grid.cmap(0.0)[:3])[0] > to_rgb(grid.cmap(0.0)[:3])[2]


RAMP = torch.linspace(0, 1, 41)[None]


@pytest.mark.parametrize(
    ("draw", "matrix"), [(plots.weight_map, WEIGHTS), (plots.weight_map, RAMP), (plots.score_map, SCORES)]
)
def test_numbers_stand_in_their_cells_and_can_be_read(draw, matrix):
    plt.figure(figsize=(25, 3))
    grid = draw(matrix, numbers=True)
    written = {(int(t.get_position()[1]), int(t.get_position()[0])): t for t in grid.axes.texts}
    assert len(written) == matrix.numel()
    grid.figure.canvas.draw()
    drawn = np.asarray(grid.figure.canvas.buffer_rgba()) / 255
    drawn = {cell: pixel_under(drawn, grid.axes, *cell) for cell in written}
    for (i, j), text in written.items():
        number = text.get_text()
        assert float(number.replace("−", "-").replace("∞", "inf")) == pytest.approx(matrix[i, j].item(), abs=0.00501)
        assert contrast(drawn[i, j], text.get_color()) >= 4.5


def test_no_numbers_unless_asked_for():
    assert not plots.weight_map(WEIGHTS).axes.texts


def test_on_the_axes_that_were_given():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.weight_map(WEIGHTS, ax=left).axes is left
    assert plots.score_map(SCORES, ax=right).axes is right


@pytest.mark.parametrize("draw", [plots.weight_map, plots.score_map])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_only_matrices_can_be_drawn(draw, shape, own_errors):
    with pytest.raises(ValueError, match=rf"\(queries, keys\).*got shape \({', '.join(map(str, shape))}"):
        draw(torch.zeros(shape))


def test_the_same_bytes_at_each_run():
    def picture():
        plt.figure()
        plots.weight_map(WEIGHTS, keys=["猫", "sat", "y"], numbers=True)
        out = io.StringIO()
        plt.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        plt.close("all")
        return out.getvalue()

    first = picture()
    assert first == picture()
    assert "猫" in first  # text stays text


def test_colors_are_apart_from_the_page_and_from_each_other():
    """3 to 1 against white, as WCAG asks of graphics; a role has its own color and its own marker."""
    roles = [plots.QUERY, plots.KEY, plots.VALUE, plots.OUTPUT]
    assert len(set(roles)) == len(set(plots.MARKERS.values())) == len(plots.MARKERS) == 4
    assert len(set(plots.SERIES)) == len(plots.SERIES)
    for color in {*roles, *plots.SERIES}:
        assert contrast(color, "white") >= 3
    assert contrast(style.INK, "white") >= 7
