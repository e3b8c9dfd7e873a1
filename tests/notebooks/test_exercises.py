"""Each chapter shows its exercises in their order, each with the cell that a reader fills in: not attempted."""

import json
from pathlib import Path

import pytest

from attnbook.exercises import exercise as page
from attnbook.exercises.catalogue import all_exercises
from attnbook.exercises.kinds import ChoiceExercise, FunctionExercise
from attnbook.exercises.page import markdown

CHAPTERS = sorted(Path(__file__).resolve().parents[2].glob("chapters/*.ipynb"))


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(("".join(cell["source"])), cell) for cell in cells if cell["cell_type"] == "code"]


def attempt_cell(exercise):
    """What must stand in the cell after the exercise."""
    if isinstance(exercise, FunctionExercise):
        return f'{exercise.stub.strip()}\n\n\ncheck("{exercise.name}", {exercise.reference.__name__})'
    if isinstance(exercise, ChoiceExercise):
        return f'check("{exercise.name}", ...)  # a letter: "a", "b", ...'
    several = isinstance(exercise.answer(), list | tuple)
    return f'check("{exercise.name}", ...)  # {"numbers: [..., ...]" if several else "a number"}'


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_exercises_of_the_chapter(path):
    own = [one for one in all_exercises().values() if one.chapter == int(path.stem[:2])]
    cells = code_cells(path)
    shown = [k for k, (source, _) in enumerate(cells) if source.startswith('exercise("')]
    assert [cells[k][0] for k in shown] == [f'exercise("{one.name}")' for one in own]
    for k, one in zip(shown, own, strict=True):
        (output,) = cells[k][1]["outputs"]
        assert "".join(output["data"]["text/markdown"]) == markdown(one)
        source, attempt = cells[k + 1]
        assert source == attempt_cell(one)
        (report,) = attempt["outputs"]
        assert "".join(report["data"]["text/plain"]).startswith(f"Not attempted yet: {one.title}")


def test_the_page_of_an_exercise_keeps_its_answer_folded():
    for one in all_exercises().values():
        whole = markdown(one)
        assert one.statement.strip() in whole and one.statement.strip() in str(page(one.name))
        before = whole.split("<details>")[0]
        if isinstance(one, FunctionExercise):
            assert one.solution.strip() in whole and one.solution.strip() not in before
        assert whole.count("<details>") == whole.count("</details>")
