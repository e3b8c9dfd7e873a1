"""Explorers: small examples that the reader moves, in the page, in Jupyter and in Colab.

Each is an ipywidget. Its inputs are traits, its results are computed by attnbook when asked for, and
`explorer.follow(draw)` redraws a figure of your own whenever the reader moves it.
"""

from attnbook.widgets.alignment import Alignment
from attnbook.widgets.alignments import Alignments
from attnbook.widgets.calculator import Calculator
from attnbook.widgets.cost import Cost
from attnbook.widgets.explorer import Explorer
from attnbook.widgets.heads import Heads
from attnbook.widgets.mask_painter import MaskPainter
from attnbook.widgets.plane import Plane
from attnbook.widgets.positions import Positions
from attnbook.widgets.saturation import Saturation

__all__ = [
    "Alignment",
    "Alignments",
    "Calculator",
    "Cost",
    "Explorer",
    "Heads",
    "MaskPainter",
    "Plane",
    "Positions",
    "Saturation",
]
