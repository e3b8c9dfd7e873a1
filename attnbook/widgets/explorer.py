"""What all explorers share: a picture where nothing runs, their state for the page, and figures that follow."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import anywidget
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure
from traitlets import TraitError

from attnbook.plots.style import book_style

MIME = "application/vnd.attnbook.explorer+json"
VIEW = "application/vnd.jupyter.widget-view+json"


class Explorer(anywidget.AnyWidget):
    """A small example that the reader moves; its arithmetic runs in JavaScript, in the page, with or without a kernel.

    A subclass names its JavaScript (`name`, `_esm`), declares what the reader moves as traits (`.tag(sync=True)`),
    computes results from them with attnbook as properties, and draws its state on a figure (`draw`).

    Inputs are traits: with a kernel, Python reads what the reader set, sets it, observes it, and links it with other
    widgets. Results are computed by attnbook when asked for, so that they always belong to the inputs.
    """

    name: ClassVar[str]

    # A trait of a wrong type is a TypeError, as everywhere in attnbook; traitlets has an error of its own.
    def __init__(self, **values: object) -> None:
        with _type_errors():
            super().__init__(**values)

    def __setattr__(self, name: str, value: object) -> None:
        with _type_errors():
            super().__setattr__(name, value)

    def draw(self, figure: Figure) -> None:
        """The explorer's state as a picture, for where no JavaScript runs."""
        raise NotImplementedError

    def picture(self) -> str:
        """The picture as SVG."""
        with book_style():
            figure = plt.figure()
            try:
                self.draw(figure)
                return _svg(figure)
            finally:
                plt.close(figure)

    def state(self) -> dict[str, str]:
        """What the page needs to begin where this explorer stands: the JSON of each own trait (bytes as base64)."""
        inherited = set(anywidget.AnyWidget.class_trait_names())
        names = [name for name in self.trait_names(sync=True) if name not in inherited and not name.startswith("_")]
        return {name: json.dumps(_plain(getattr(self, name)), ensure_ascii=False) for name in sorted(names)}

    def follow(self, draw: Callable[[], Figure]) -> None:
        """Shows `draw()`'s figure below the cell, and draws it again whenever the reader moves the explorer.

        Without a kernel the figure stays as it was stored.
        """
        handle = display(_drawn(draw), raw=True, display_id=True)
        self.observe(lambda change: handle.update(_drawn(draw), raw=True), names=list(self.state()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}: moves where JavaScript runs; here is its picture."

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["image/svg+xml"] = self.picture()
        data[MIME] = {"explorer": self.name, "state": self.state()}
        return data, metadata


@contextmanager
def _type_errors() -> Iterator[None]:
    try:
        yield
    except TraitError as error:
        raise TypeError(str(error)) from None


def _plain(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _drawn(draw: Callable[[], Figure]) -> dict[str, str]:
    """A figure as SVG, shown here and nowhere else: pyplot forgets it.

    Not the figure itself: before a kernel's first plot, IPython does not know yet how to show one.
    """
    figure = draw()
    if not isinstance(figure, Figure):
        raise TypeError(f"draw must return a matplotlib Figure; got {type(figure).__name__}")
    plt.close(figure)
    return {"image/svg+xml": _svg(figure), "text/plain": repr(figure)}


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
