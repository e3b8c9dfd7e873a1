"""In a live kernel: a check is shown once, rich and as text; a report is shown again on demand; loops are stopped."""

import nbformat
import pytest
from nbclient import NotebookClient

from attnbook.exercises import record

CELLS = [
    "from attnbook.exercises import check, exercise, running",
    'check("softmax", lambda s: s.softmax(-1))',
    'report = check("softmax", lambda s: s.softmax(-2))',
    "report",
    'exercise("which-axis")',
    "running.SECONDS = 0.5\ndef forever(scores):\n    print('hello')\n    while True:\n        pass\n\n"
    'check("softmax", forever).passed',
    "print('still here')",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(record.VARIABLE, str(tmp_path_factory.mktemp("progress") / "progress.json"))
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
        NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_check_is_shown_once(outputs):
    (shown,) = outputs[1]
    assert shown.data["text/plain"].startswith("Passed: A softmax") and "exercise-passed" in shown.data["text/html"]
    (shown,) = outputs[2]
    assert "The mistake, columns for rows" in shown.data["text/plain"]


def test_a_report_is_shown_again_on_demand(outputs):
    assert outputs[3][0].data == outputs[2][0].data


def test_an_exercise_is_markdown(outputs):
    (shown,) = outputs[4]
    assert shown.data["text/markdown"].count("<details>") == 5
    assert shown.data["text/plain"].startswith("Along which axis?")


def test_an_endless_loop_is_stopped_and_its_prints_are_dropped(outputs):
    shown, passed = outputs[5]
    assert "It was stopped after 0.5 seconds" in shown.data["text/plain"] and "line 4" in shown.data["text/plain"]
    assert passed.data["text/plain"] == "False"
    assert outputs[6][0].text == "still here\n"
