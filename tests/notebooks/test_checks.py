"""Each check finds the fault it is there for, and nothing in a sound notebook."""

import copy
import json

import pytest
from notebook_checks import bootstrap, box, claims, problems, repository

PICTURE = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}, "metadata": {}}
BAR = {"output_type": "display_data", "data": {"text/plain": "training:   0%|          | 0/9"}, "metadata": {}}
SETTINGS = {
    "image": {"alt": "Four bars of unequal height.", "classes": "figure"},
    "figure": {"caption": "The weights of four keys.", "name": "fig-03-bars"},
}


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source, count, outputs=(), tags=(), **metadata):
    metadata |= {"tags": list(tags)}
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
    }


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def sound():
    verdict = claims()["A3"]["verdict"]
    return [
        markdown("# 3. A chapter"),
        code(bootstrap(repository()), 1, tags=["remove-cell"]),
        code("plt.show()", 2, [PICTURE], mystnb=copy.deepcopy(SETTINGS)),
        markdown(box("A3", verdict) + "It says so.\n:::"),
        code("assert True", 3, [stream("0.5\n")], tags=["claim:A3"]),
    ]


def found(cells, tmp_path):
    path = tmp_path / "03-a.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return problems(path)


def test_a_sound_notebook_has_no_problem(tmp_path):
    assert found(sound(), tmp_path) == []


def test_the_install_cell_may_ask_for_more(tmp_path):
    cells = sound()
    cells[1]["source"] = bootstrap(repository(), "[models]", "weights-a weights-b")
    assert found(cells, tmp_path) == []


def change(cell, **values):
    def apply(cells):
        cells[cell].update(values)

    return apply


def setting(kind, key, value):
    def apply(cells):
        cells[2]["metadata"]["mystnb"][kind][key] = value

    return apply


ERROR = {"output_type": "error", "ename": "NameError", "evalue": "math", "traceback": []}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (change(0, source="# A chapter"), "not a title"),
        (change(1, source="%pip install attnbook"), "bootstrap"),
        (change(1, metadata={}), "remove-cell"),
        (change(2, execution_count=None), "execution counts are [1, None, 3]"),
        (change(4, execution_count=7), "execution counts are [1, 2, 7]"),
        (change(4, source=" "), "an empty code cell"),
        (change(4, outputs=[ERROR]), "a stored error: NameError"),
        (change(4, outputs=[stream("Warning", "stderr")]), "on stderr"),
        (change(4, outputs=[BAR]), "a progress bar is stored"),
        (change(4, outputs=[stream("saved in /tmp/x1")]), "shows '/tmp/'"),
        (change(4, outputs=[stream("<object at 0x7f3a12>")]), "shows '0x7f3a12'"),
        (change(4, outputs=[stream("x" * 1_000_001)]), "larger than"),
        (setting("image", "alt", "bars"), "no alt text"),
        (setting("figure", "caption", ""), "no caption"),
        (setting("figure", "name", "bars"), "name is 'bars'"),
        (setting("image", "classes", ""), "lacks the class"),
        (change(4, source="print(1)"), "asserts nothing"),
        (change(4, metadata={"tags": ["claim:Z1"]}), "names no claim"),
        (change(4, metadata={"tags": ["claim:A5"]}), "no box before"),
        (change(4, metadata={"tags": []}), "one to one"),
        (change(3, source=box("A3", "wrong") + ":::"), "no box before"),
        (lambda cells: cells.insert(4, markdown("Between.")), "no box before"),
        (lambda cells: cells.append(markdown(cells[3]["source"])), "one to one"),
    ],
)
def test_a_fault_is_found(spoil, problem, tmp_path):
    cells = sound()
    spoil(cells)
    assert any(problem in text for text in found(cells, tmp_path)), found(cells, tmp_path)


def test_an_error_shown_on_purpose_is_none(tmp_path):
    cells = [*sound(), code("raise ValueError", 4, [ERROR], tags=["raises-exception"])]
    assert found(cells, tmp_path) == []
