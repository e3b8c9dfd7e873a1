"""The appendix for teachers: every exercise and every named mistake. Questions can be answered in the page."""

from attnbook.exercises.catalogue import all_exercises
from attnbook.exercises.kinds import ChoiceExercise


def test_every_exercise_and_mistake_is_in_the_table(pages):
    page = pages["appendix/exercises.html"]
    rows = {
        row.select_one("code").get_text(): row.get_text(" ").replace("’", "'")
        for row in page.select("table.exercise-table tbody tr")
    }
    assert set(rows) == set(all_exercises())
    for name, one in all_exercises().items():
        assert one.title in rows[name]
        if not isinstance(one, ChoiceExercise):
            for mistake in one.mistakes:
                assert mistake.name in rows[name]


def test_questions_can_be_answered_in_the_page(pages):
    for one in all_exercises().values():
        if not isinstance(one, ChoiceExercise):
            continue
        (page,) = [page for path, page in pages.items() if path.startswith(f"chapters/{one.chapter:02}-")]
        folded = {box.summary.get_text(): box.get_text(" ") for box in page.select(".exercise-text details")}
        for letter, choice in one.letters.items():
            (text,) = [text for summary, text in folded.items() if summary == f"{letter}) {choice.text}"]
            assert ("Right." in text) == choice.right
