"""The pictures of chapter 5 stand where the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attnbook.plots.scores import plane, possible_outputs, rankings

QUERY = np.array([2.0, 1.0])
KEYS = np.array([[1.0, 4.0], [2.0, 0.0], [-2.0, 3.0]])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def lines(ax):
    return [np.column_stack(line.get_data()) for line in ax.lines]


def test_plane_drops_each_key_onto_the_query_at_a_right_angle():
    ax = plane(torch.tensor(QUERY), torch.tensor(KEYS), "abc")
    dropped = [line for line in lines(ax) if len(line) == 2 and np.abs(line[0]).max() > 0 and line[0] in KEYS]
    assert len(dropped) == len(KEYS)
    for (key, foot), expected in zip(dropped, KEYS, strict=True):
        assert key.tolist() == expected.tolist()
        assert (key - foot) @ QUERY == pytest.approx(0)  # a right angle
        assert foot[0] * QUERY[1] == pytest.approx(foot[1] * QUERY[0])  # on the line of the query
    for tip in (*KEYS, QUERY):
        assert any(len(line) == 1 and line[0].tolist() == tip.tolist() for line in lines(ax))
    inside = ax.dataLim.x0 >= ax.get_xlim()[0] and ax.dataLim.x1 <= ax.get_xlim()[1]
    assert inside and ax.get_aspect() == 1
    assert {"a", "b", "c", "query"} <= {text.get_text() for text in ax.texts}


def test_rankings_put_the_best_at_the_top_of_each_column():
    columns = {"first": torch.tensor([1.0, 3.0, -2.0]), "second": np.array([0.5, -1.0, 0.75])}
    ax = rankings(columns, "abc")
    places = np.array([line[:, 1] for line in lines(ax)])  # one line a key, one point a column
    assert places.tolist() == [[1, 1], [0, 2], [2, 0]]
    top, bottom = sorted(ax.get_ylim())[0], ax.get_ylim()[0]
    assert top < 0 < bottom  # place 0 is drawn above place 1
    written = [text.get_text() for text in ax.texts]
    assert written == ["a  1.00", "0.50  a", "b  3.00", "\N{MINUS SIGN}1.00  b", "c  \N{MINUS SIGN}2.00", "0.75  c"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["first", "second"]


def test_possible_outputs_joins_the_values_and_marks_the_points():
    values = torch.tensor([[10.0, 11.0, 12.0], [13.0, 14.0, 15.0]])
    ax = possible_outputs(values, {"mean": values.mean(dim=0)})
    assert any(line.tolist() == [[10, 11], [13, 14]] for line in lines(ax))
    assert any(line.tolist() == [[11.5, 12.5]] for line in lines(ax))
    assert "mean" in {text.get_text() for text in ax.texts}


@pytest.mark.parametrize("draw", [plane, rankings, possible_outputs])
def test_pictures_go_where_they_are_asked_to(draw):
    arguments = {
        plane: (QUERY, KEYS, "abc"),
        rankings: ({"one": np.arange(3.0), "two": np.arange(3.0)}, "abc"),
        possible_outputs: (np.eye(2), {}),
    }
    _, (left, right) = plt.subplots(1, 2)
    assert draw(*arguments[draw], ax=right) is right
    assert right.lines and not left.lines
