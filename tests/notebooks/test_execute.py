"""`make execute` gives the same bytes twice: figures, ids, streams and widgets included."""

import json

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_normal import STATE, VIEW, normalise, tidy_svg, with_cell_ids
from notebooks import execute

DRAWING = """\
import matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats

set_matplotlib_formats("svg")
axes = plt.figure(figsize=(2, 1)).gca()
axes.plot([0, 1], marker="o")
axes.fill_between([0, 1], [0, 1], clip_on=True)
plt.show()"""
PRINTING = """\
import os
import sys

print("one", flush=True)
sys.stdout.flush()
print("two")
print(hash("attention"), os.environ["OMP_NUM_THREADS"], os.environ["TQDM_DISABLE"])
print(object())"""
WIDGETS = """\
from ipywidgets import HBox, IntSlider, jslink

unused = IntSlider()
left, right = IntSlider(), IntSlider()
link = jslink((left, "value"), (right, "value"))
HBox([left, right])"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook with what changes from run to run: a figure, streams, an address, widgets, an error."""
    cells = [new_markdown_cell("# 1. A trial"), *map(new_code_cell, (DRAWING, PRINTING, WIDGETS))]
    failing = new_code_cell("def attend():\n    raise ValueError('query: expected 3')\n\n\nattend()")
    failing.metadata.tags = ["raises-exception"]
    path = tmp_path / "01-trial.ipynb"
    nbformat.write(new_notebook(cells=[*cells, failing]), path)
    return path


def test_twice_gives_the_same_bytes(notebook):
    execute(notebook)
    first = notebook.read_bytes()
    execute(notebook)
    assert notebook.read_bytes() == first
    nbformat.validate(nbformat.reads(first.decode(), as_version=4))

    _, drawing, printing, widgets, failing = json.loads(first)["cells"]
    assert "image/svg+xml" in drawing["outputs"][0]["data"]
    assert [output["name"] for output in printing["outputs"]] == ["stdout"]
    text = "".join(printing["outputs"][0]["text"])
    assert text.startswith("one\ntwo\n") and " 1 1\n<object object at 0x…>" in text
    assert widgets["outputs"][0]["data"][VIEW]["model_id"] == f"{1:032x}"
    assert failing["outputs"][0]["traceback"] == ["ValueError: query: expected 3"]


def test_widget_state_is_numbered_and_has_only_what_is_shown(notebook):
    execute(notebook)
    state = json.loads(notebook.read_text())["metadata"]["widgets"][STATE]["state"]
    assert list(state) == [f"{number:032x}" for number in range(1, len(state) + 1)]
    names = [model["model_name"] for model in state.values()]
    assert names.count("IntSliderModel") == 2 and names.count("LinkModel") == 1


def test_a_failing_notebook_stays_as_it_was(tmp_path):
    path = tmp_path / "01-trial.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError):
        execute(path)
    assert path.read_bytes() == before


def test_normalising_twice_changes_nothing():
    cell = new_code_cell(
        "1", execution_count=1, outputs=[new_output("stream", name="stdout", text=part) for part in "ab"]
    )
    cell.metadata = nbformat.from_dict(
        {"tags": ["a"], "execution": {"iopub.status.busy": "2026-01-01"}, "scrolled": True}
    )
    once = normalise(new_notebook(cells=[cell], metadata={"kernelspec": {"name": "my-env", "display_name": "Mine"}}))
    text = nbformat.writes(once)
    assert nbformat.writes(normalise(nbformat.reads(text, as_version=4))) == text
    assert once.cells[0].outputs == [new_output("stream", name="stdout", text="ab")]
    assert once.cells[0].metadata == {"tags": ["a"]}
    assert once.metadata.kernelspec.name == "python3"


def test_cells_without_an_id_get_a_fixed_one():
    text = json.dumps(
        {
            "cells": [{"cell_type": "markdown", "metadata": {}, "source": "a"}],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
    )
    assert with_cell_ids(text).cells[0].id == with_cell_ids(text).cells[0].id == "cell-1"


def test_random_ids_of_a_picture_are_numbered():
    body = '<g id="axes_1"/><p id="m0123456789"/><use href="#m0123456789"/>'
    svg = f"<svg><metadata>\n<dc:date>2026</dc:date></metadata>{body}</svg>"
    assert tidy_svg(svg) == '<svg><g id="axes_1"/><p id="r1"/><use href="#r1"/></svg>'
