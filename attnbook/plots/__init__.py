"""Figures of the book, so that chapters stay short."""

from attnbook.plots.style import KEY, MARKERS, OUTPUT, QUERY, SERIES, VALUE, use_style
from attnbook.plots.weights import score_map, weight_map

__all__ = ["KEY", "MARKERS", "OUTPUT", "QUERY", "SERIES", "VALUE", "score_map", "use_style", "weight_map"]
