"""The picture of the heads explorer where nothing runs: each head in its place, the chosen one framed."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex

from attnbook.widgets import Heads
from attnbook.widgets.heads import MANY


@pytest.fixture
def figure():
    made = plt.figure()
    yield made
    plt.close(made)


def rows(*sizes):
    """Weights that no two places share."""
    return torch.randn(*sizes, dtype=torch.float64).softmax(dim=-1)


def grid(axes):
    [mesh] = [child for child in axes.get_children() if isinstance(child, QuadMesh)]
    return np.ma.filled(mesh.get_array(), np.nan)


def test_few_heads_have_axes_of_their_own(figure):
    weights = rows(2, 3, 2, 2)
    Heads(weights, ["a", "b"], layer=1, head=2).draw(figure)
    assert [ax.get_title() for ax in figure.axes] == [f"layer {i}, head {j}" for i in (1, 2) for j in (1, 2, 3)]
    for ax, expected in zip(figure.axes, weights.flatten(0, 1), strict=True):
        np.testing.assert_allclose(grid(ax), expected, atol=1e-5)


@pytest.mark.parametrize(("queries", "keys"), [(3, 3), (2, 5)])
def test_many_heads_share_one_grid(queries, keys, figure):
    """Every number at the place that its layer, head, query and key say, counted here by hand; gaps between them."""
    layers, heads = 3, MANY // 2
    weights = rows(layers, heads, queries, keys)
    options = {"layer": 2, "head": 5} | ({} if queries == keys else {"keys": [*"uvwxy"]})
    Heads(weights, [*"abc"][:queries], **options).draw(figure)
    [ax] = figure.axes
    drawn = grid(ax)
    assert drawn.shape == (layers * (queries + 2), heads * (keys + 2))
    for i, layer in enumerate(weights):
        for j, head in enumerate(layer):
            for q, row in enumerate(head):
                for k, weight in enumerate(row):
                    assert drawn[i * (queries + 2) + 1 + q, j * (keys + 2) + 1 + k] == pytest.approx(
                        weight.item(), abs=1e-5
                    )
    assert np.isfinite(drawn).sum() == weights.numel()
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first layer and the first query stand at the top"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["layer 1", "layer 2", "layer 3"]
    assert len(ax.get_xticklabels()) == heads and ax.get_xticklabels()[7].get_text() == "head 8"


def test_one_of_many_heads_is_framed(figure):
    layers, heads, n = 3, 8, 4
    Heads(rows(layers, heads, n, n), [*"abcd"], layer=1, head=6).draw(figure)
    colors = [to_hex(frame.get_edgecolor()) for frame in figure.axes[0].patches]
    [chosen] = [frame for frame, color in zip(figure.axes[0].patches, colors, strict=True) if colors.count(color) == 1]
    left, top = chosen.get_xy()
    for place, start, step in ((left, 6, n + 2), (top, 1, n + 2)):
        first = start * step + 1  # the head's first row or column
        assert first - 1 < place <= first and place + n <= place + chosen.get_width()
    assert (chosen.get_width(), chosen.get_height()) == (n + 1, n + 1)


def test_seventy_two_heads_stay_small():
    """One raster, not 18,432 cells: chapter 13 stores the picture in its notebook."""
    heads = Heads(rows(6, 12, 16, 16), [f"token {k}" for k in range(16)])
    picture = heads.picture()
    assert picture == heads.picture()
    assert picture.count("<image") == 1 and len(picture) < 150_000
