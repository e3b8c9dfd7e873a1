"""One figure style for the whole book, and the colors that formulas, code, figures and explorers share."""

import logging
from contextlib import AbstractContextManager

import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib_inline.backend_inline import set_matplotlib_formats

# From the palette of Okabe and Ito, which stays apart for color-blind readers; each has a marker too.
QUERY, KEY, VALUE, OUTPUT = "#0072B2", "#D55E00", "#009E73", "#8C4A76"
MARKERS = {"query": "*", "key": "o", "value": "s", "output": "D"}
SERIES = ["#0072B2", "#D55E00", "#009E73", "#8C4A76", "#B8860B", "#444444"]
INK = "#222222"

# Weights run from 0 (the page) to 1; scores diverge from 0.
WEIGHTS = LinearSegmentedColormap.from_list("weights", ["#FFFFFF", "#BFD9EC", "#5AA3CF", "#0B5C94", "#06294A"])
SCORES = LinearSegmentedColormap.from_list("scores", ["#8C3B00", "#E9A876", "#FFFFFF", "#8FBFDE", "#0B4F80"])

_RC = {
    "figure.facecolor": "white",  # the pages turn white into the page's own background in dark mode
    "figure.figsize": (6.4, 3.2),
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans", "Noto Sans CJK SC", "sans-serif"],
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "regular",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=SERIES),
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text stays text: light files, and the reader's own font for Chinese
    "svg.hashsalt": "attnbook",  # the same ids at each run
}


def book_style() -> AbstractContextManager[None]:
    """The book's style for the figures drawn inside a `with` block."""
    return plt.rc_context(_RC)


def use_style() -> None:
    """Set the book's style: sharp SVG figures that are the same bytes at each run."""
    plt.rcParams.update(_RC)
    set_matplotlib_formats("svg", metadata={"Date": None, "Creator": None})
    # A machine without a Chinese font still writes the right text into the SVG; only its widths are a guess.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
