"""What a check found, shown as text anywhere and as a box in a notebook."""

import re
from dataclasses import dataclass, field
from html import escape

from IPython import get_ipython
from IPython.display import display


@dataclass(frozen=True)
class Counterexample:
    """The smallest inputs found on which the attempt is wrong, with what was expected and what came."""

    inputs: dict
    call: str
    expected: str
    given: str


@dataclass(frozen=True)
class Report:
    """The result of a check.

    passed: True or False. attempted: False for an exercise left as it was.
    mistake: the name of the mistake, or two with "and" between, or None if it was not recognized; mistakes: the names.
    broken: the property that does not hold, or None. counterexample: a Counterexample or None. hint: the next one.
    """

    exercise: str
    title: str
    passed: bool
    attempted: bool = True
    mistakes: tuple[str, ...] = ()
    broken: str | None = None
    counterexample: Counterexample | None = None
    hint: str | None = None
    sections: tuple[tuple[str, str, bool], ...] = ()  # heading, text, is it code?
    _shown_in: list = field(default_factory=list, repr=False, compare=False)

    @property
    def mistake(self) -> str | None:
        return " and ".join(self.mistakes) or None

    @property
    def verdict(self) -> str:
        return "Passed" if self.passed else "Wrong" if self.attempted else "Not attempted yet"

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.title}"]
        for heading, text, is_code in self.sections:
            if is_code:
                lines += [f"{heading}:", *(f"    {line}" for line in text.splitlines())]
            else:
                lines.append(f"{heading.rstrip('.')}: {text}" if heading else text)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        kind = "passed" if self.passed else "wrong" if self.attempted else "open"
        color = {"passed": "#1b7f4d", "wrong": "#b3261e", "open": "#6b7280"}[kind]
        sign = {"passed": "✓", "wrong": "✗", "open": "○"}[kind]
        box = f"border-left: 4px solid {color}; padding: 0.3em 0.8em"
        parts = [f"<strong>{sign} {self.verdict}: {escape(self.title)}</strong>"]
        for heading, text, is_code in self.sections:
            title = f"<strong>{escape(heading.rstrip('.'))}.</strong> " if heading else ""
            body = f'<pre style="margin: 0.2em 0">{escape(text)}</pre>' if is_code else _inline(text)
            parts.append(f'<div style="margin-top: 0.4em">{title}{body}</div>')
        return f'<div class="exercise-report exercise-{kind}" style="{box}">{"".join(parts)}</div>'

    def show(self) -> None:
        """Show it now: a box in a notebook, text elsewhere."""
        if get_ipython() is None:
            print(self)
        else:
            display({"text/plain": str(self), "text/html": self._repr_html_()}, raw=True)

    def shown(self) -> "Report":
        """Show it, and not once more as the result of the same cell."""
        self.show()
        self._shown_in[:] = [_cell()]
        return self

    def _ipython_display_(self) -> None:
        if self._shown_in != [_cell()]:
            self.show()


def _inline(text: str) -> str:
    """Text as HTML; `code` and *stress*, as in hints, are kept."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"(?<![\w*])\*(\w[^*<]*)\*(?![\w*])", r"<em>\1</em>", text)


def _cell() -> int | None:
    shell = get_ipython()
    return None if shell is None else shell.execution_count
