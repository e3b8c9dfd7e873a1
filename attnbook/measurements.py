"""Times and memory that were measured once and are stored, since a chapter cannot measure them anew at each run."""

import json
from pathlib import Path
from typing import Any

LENGTHS = Path(__file__).parent / "data" / "measured-lengths.json"


def over_lengths() -> dict[str, Any]:
    """Forms of attention over the length of the text, as `make bench` found them (benchmarks/lengths.py).

    {"settings": ..., "lengths": [...], "ratios": {mode: {length: {form: [median, low, high]}}}, "mebibytes": {mode:
    {length: {form: MiB}}}}, mode "forward" or "forward and backward". Ratios are to PyTorch's fused kernel at the same
    length, whose own time is in "seconds"; low and high are the quartiles of the rounds. Lengths are whole numbers.
    """
    found = json.loads(LENGTHS.read_text(encoding="utf-8"))
    for kind in ("ratios", "mebibytes"):
        found[kind] = {mode: {int(n): row for n, row in rows.items()} for mode, rows in found[kind].items()}
    return found
