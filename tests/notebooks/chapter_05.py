"""Reads what chapter 5 printed out of its stored outputs, and holds it against numbers computed elsewhere."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from mpmath import mp, mpf

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "05-scores.ipynb"
NUMBER = re.compile(r"(?<![\w.^])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]\d+)?(?=%|,?(?:\s|$))")
mp.dps = 50


def cells():
    return json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]


def output(marker):
    """The printed text of the one code cell that has this claim tag, or this text in its source."""

    def chosen(cell):
        return f"claim:{marker}" in cell["metadata"].get("tags", []) or marker in "".join(cell["source"])

    texts = [
        "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
        for cell in cells()
        if cell["cell_type"] == "code" and chosen(cell)
    ]
    assert len(texts) == 1, f"{len(texts)} cells for {marker!r}"
    return texts[0]


def printed(marker, start):
    """The numbers, as written, of the one line of that output that begins with `start`."""
    lines = [line.strip() for line in output(marker).splitlines() if line.strip().startswith(start)]
    assert len(lines) == 1, f"{len(lines)} lines begin with {start!r} in the output of {marker!r}"
    return NUMBER.findall(lines[0][len(start) :])


def agree(tokens, exact):
    """Every written number is the exact one, rounded to the digits written."""
    exact = list(exact)
    assert len(tokens) == len(exact), f"{tokens} for {len(exact)} numbers"
    for token, number in zip(tokens, exact, strict=True):
        written = token.replace(",", "")
        unit = mpf(10) ** Decimal(written).as_tuple().exponent
        half = unit / 2 * (1 + mpf(10) ** -6)
        assert abs(mpf(written) - number) <= half, f"{token}, not {mp.nstr(number, 12)}"


def near(tokens, expected, *, relative):
    """Measured numbers: within a margin of an independent measurement."""
    assert len(tokens) == len(expected), f"{tokens} for {expected}"
    for token, number in zip(tokens, expected, strict=True):
        assert float(token) == pytest.approx(float(number), rel=relative)
