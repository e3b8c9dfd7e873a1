"""An exercise as its page shows it: Markdown, in which hints, answers and the solution are folded."""

from dataclasses import dataclass

from attnbook.exercises.kinds import ChoiceExercise, Exercise, FunctionExercise, NumberExercise


@dataclass(frozen=True)
class Page:
    """Shown by a notebook as Markdown, by a terminal as its text without the folded parts."""

    exercise: Exercise

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict:
        return {"text/markdown": markdown(self.exercise), "text/plain": str(self)}

    def __str__(self) -> str:
        one = self.exercise
        lines = [f"{one.title} ({one.level}, {one.minutes} min)", one.statement.strip()]
        if isinstance(one, ChoiceExercise):
            lines += [f"{letter}) {choice.text}" for letter, choice in one.letters.items()]
        return "\n".join(lines)

    __repr__ = __str__


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>"


def markdown(exercise: Exercise) -> str:
    parts = [f"**{exercise.title}** · *{exercise.level} · {exercise.minutes} min*", exercise.statement.strip()]
    if isinstance(exercise, ChoiceExercise):
        for letter, choice in exercise.letters.items():
            verdict = "✓ Right." if choice.right else "✗ No."
            parts.append(_folded(f"{letter}) {choice.text}", f"**{verdict}** {choice.why}"))
    for k, hint in enumerate(exercise.hints, 1):
        parts.append(_folded("Hint" if len(exercise.hints) == 1 else f"Hint {k}", hint))
    if isinstance(exercise, FunctionExercise | NumberExercise):
        parts.append(_folded("Solution", f"```python\n{exercise.solution.strip()}\n```"))
    return '<div class="exercise-text">\n\n' + "\n\n".join(parts) + "\n\n</div>"
