"""The directive `exercise-table`: for teachers, every checked exercise with the mistakes that it names."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from attnbook.exercises.catalogue import all_exercises
from attnbook.exercises.kinds import ChoiceExercise, FunctionExercise

KINDS = {"FunctionExercise": "code", "NumberExercise": "number", "ChoiceExercise": "question"}


def mistakes(exercise):
    """The names that a report can give, in the order of the catalogue."""
    if isinstance(exercise, ChoiceExercise):
        return [f"{letter}) {choice.text}" for letter, choice in exercise.letters.items() if not choice.right]
    return [mistake.name for mistake in exercise.mistakes]


def kind(exercise):
    mending = isinstance(exercise, FunctionExercise) and exercise.given
    return "listing to mend" if mending else KINDS[type(exercise).__name__]


def row(*cells):
    entries = [nodes.entry("", cell if isinstance(cell, nodes.Node) else nodes.paragraph("", cell)) for cell in cells]
    return nodes.row("", *entries)


class ExerciseTable(SphinxDirective):
    """`:::{exercise-table}` has no argument and no content."""

    def run(self):
        by_chapter = {}
        for exercise in all_exercises().values():
            by_chapter.setdefault(exercise.chapter, []).append(exercise)
        found = all_exercises().values()
        code = [one for one in found if isinstance(one, FunctionExercise)]
        total = sum(len(mistakes(one)) for one in found)
        summary = (
            f"{len(found)} exercises, {len(code)} of them code, with {total} mistakes "
            f"that have a name: {sum(len(one.mistakes) for one in code)} in code, the others in numbers and choices."
        )
        return [nodes.paragraph("", summary), *(self.chapter(*one) for one in by_chapter.items())]

    def chapter(self, number, exercises):
        name = f"exercises-of-chapter-{number}"
        section = nodes.section("", nodes.title("", f"Chapter {number}"), ids=[name], names=[name])
        table = nodes.table("", classes=["exercise-table"])
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (24, 16, 60)), cols=3)
        group += nodes.thead("", row("Exercise", "Kind", "Mistakes that are named"))
        rows = []
        for one in exercises:
            title = nodes.paragraph("", one.title)
            code = nodes.paragraph("", "", nodes.literal("", one.name))
            named = nodes.paragraph("", " · ".join(mistakes(one)))
            entry = nodes.entry("", title, code)
            kinds = nodes.entry("", nodes.paragraph("", f"{kind(one)}, {one.level.lower()}, {one.minutes} min"))
            rows.append(nodes.row("", entry, kinds, nodes.entry("", named)))
        group += nodes.tbody("", *rows)
        table += group
        section += table
        return section


def setup(app):
    app.add_directive("exercise-table", ExerciseTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
