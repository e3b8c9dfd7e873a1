"""The pictures of chapter 2 stand where the numbers say."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb

from attnbook.plots import weight_map
from attnbook.plots.lookup import entries, question, read_entries, shares

KEY, VALUE = [6.0, 9.0, 14.0], [4.0, 9.0, 22.0]


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def luminance(rgb):
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
    return sum(share * x for share, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def points(ax, label):
    [line] = [line for line in ax.lines if line.get_label() == label]
    return line.get_xydata().tolist()


def test_keys_stand_on_the_floor_and_values_above_them(ax):
    entries(KEY, VALUE, floor=-2, ax=ax)
    assert points(ax, "key") == [[k, -2] for k in KEY]
    assert points(ax, "value") == [[k, v] for k, v in zip(KEY, VALUE, strict=True)]
    tied = [line.get_xydata().tolist() for line in ax.lines if line.get_linestyle() == ":"]
    assert tied == [[[k, -2], [k, v]] for k, v in zip(KEY, VALUE, strict=True)]


def test_the_output_stands_above_the_query(ax):
    question(13, 20.5, floor=-2, ax=ax)
    assert points(ax, "query") == [[13, -2]] and points(ax, "output") == [[13, 20.5]]


def test_a_bar_is_as_high_as_its_weight(ax):
    shares(KEY, [0.25, 0.0, 0.75], ax=ax)
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in ax.patches]
    assert bars == [(6, 0.25), (9, 0), (14, 0.75)]
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.00", "0.75"]


def test_labels_stand_in_their_cells_in_a_readable_ink(ax):
    weights = torch.tensor([[0.1, 0.9], [0.63, 0.37], [0.66, 0.34]])
    grid = weight_map(weights, ax=ax)
    read_entries(weights, ["ab", "cd", "ef"], ax=ax)
    assert [text.get_text() for text in ax.texts] == list("abcdef")
    assert [text.get_position() for text in ax.texts] == [(j + 0.5, i + 0.5) for i in range(3) for j in range(2)]
    for text, cell in zip(ax.texts, grid.to_rgba(grid.get_array()).reshape(-1, 4), strict=True):
        ink, paper = luminance(to_rgb(text.get_color())), luminance(cell[:3])
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5  # WCAG 2


def test_an_entry_without_a_value_is_refused(ax):
    with pytest.raises(ValueError, match="value must have one number for each key, 3; got 2"):
        entries(KEY, VALUE[:2], ax=ax)
