"""What all explorers share: state, picture, bundle for front ends, figures that follow."""

import json

import matplotlib.pyplot as plt
import pytest
from lxml import etree

from attnbook import widgets
from attnbook.widgets import Calculator, explorer


@pytest.fixture
def calculator():
    return Calculator([[1, 2]], [[1, 0], [0, 1]], [[1], [2]], query_names=["<img onerror=alert(1)>"])


def test_a_state_makes_the_same_explorer_again(calculator):
    values = {name: json.loads(text) for name, text in calculator.state().items()}
    again = Calculator(**values)
    assert again.state() == calculator.state()
    assert not {"layout", "comm", "tabbable", "_esm"} & set(values)


def test_front_ends_get_picture_state_and_model(calculator):
    data, _ = calculator._repr_mimebundle_()
    assert data[explorer.MIME] == {"explorer": "calculator", "state": calculator.state()}
    assert data[explorer.VIEW]["model_id"] == calculator.model_id
    root = etree.fromstring(data["image/svg+xml"].encode())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    # A label is text in the picture too.
    assert not root.findall(".//{http://www.w3.org/2000/svg}img")
    assert "<img onerror=alert(1)>" in "".join(root.itertext())


def test_the_picture_shows_the_state(calculator):
    before = calculator.picture()
    assert calculator.picture() == before, "the same state, the same bytes"
    calculator.query = [[5, -5]]
    assert calculator.picture() != before
    assert not plt.get_fignums()


def test_a_figure_follows_what_the_reader_moves(calculator, monkeypatch):
    monkeypatch.setitem(plt.rcParams, "svg.fonttype", "none")
    shown, updated = [], []

    class Handle:
        def update(self, data, raw):
            updated.append(data)

    monkeypatch.setattr(explorer, "display", lambda data, raw, display_id: shown.append(data) or Handle())
    drawn = []

    def draw():
        figure = plt.figure()
        figure.text(0.5, 0.5, f"{calculator.query[0][0]}")
        drawn.append(calculator.query[0][0])
        return figure

    calculator.follow(draw)
    assert len(shown) == 1 and not updated
    calculator.query = [[7, 2]]
    calculator.temperature = 2.0
    assert drawn == [1.0, 7.0, 7.0] and len(updated) == 2
    assert ">1.0<" in shown[0]["image/svg+xml"] and ">7.0<" in updated[1]["image/svg+xml"]
    assert not plt.get_fignums(), "figures that are redrawn must not pile up"


def test_a_figure_must_be_returned(calculator):
    with pytest.raises(TypeError, match="draw must return a matplotlib Figure; got NoneType"):
        calculator.follow(lambda: None)


def test_every_explorer_is_exported():
    kinds = [getattr(widgets, name) for name in widgets.__all__]
    assert set(explorer.Explorer.__subclasses__()) == set(kinds) - {explorer.Explorer}
