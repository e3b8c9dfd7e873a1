"""Chapter 9's printed numbers against a second computation, in NumPy and mpmath, that shares no code with attnbook.

Each test reads the numbers out of the notebook's stored outputs, so that it fails when they change.
"""

import json
import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "09-positions.ipynb"


@pytest.fixture(scope="module")
def cells():
    return json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def printed(cells):
    """All text that the chapter's cells printed."""
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    return "\n".join(texts)


@pytest.fixture(scope="module")
def prose(cells):
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def numbers(printed, label, count=None):
    """The numbers behind a label on the lines that begin with it: one list a line."""
    lines = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    assert lines, f"nothing was printed behind {label!r}"
    if count is not None:
        assert len(lines) == count
    return [[float(x) for x in re.findall(r"-?\d+\.?\d*", line)] for line in lines]


def rounded(values, digits=4):
    return pytest.approx([float(v) for v in values], abs=0.50001 * 10**-digits)


def softmax(scores):
    powers = [mpmath.exp(s) for s in scores]
    return [p / sum(powers) for p in powers]


def turn(pair, angle):
    a, b = pair
    return a * mpmath.cos(angle) - b * mpmath.sin(angle), a * mpmath.sin(angle) + b * mpmath.cos(angle)


def test_two_orders_of_three_words(printed):
    vectors = {"dog": (1.5, 0.0), "bites": (0.0, 1.2), "man": (-1.0, 0.6)}
    outputs = {}
    for word, q in vectors.items():
        dots = [sum(a * b for a, b in zip(q, k, strict=True)) / mpmath.sqrt(2) for k in vectors.values()]
        weights = softmax(dots)
        outputs[word] = [sum(w * v[c] for w, v in zip(weights, vectors.values(), strict=True)) for c in (0, 1)]
        assert numbers(printed, f"  output of {word}", count=2) == [rounded(outputs[word])] * 2
    mean = [sum(output[c] for output in outputs.values()) / 3 for c in (0, 1)]
    assert numbers(printed, "  mean of the outputs", count=2) == [rounded(mean)] * 2


def test_source_check_B2_omits(printed):
    assert numbers(printed, "orders tried:") == [[math.factorial(5)]]
    said = "as described:\n  some output changes: False\n  their mean changes:  False\n"
    said += "with positions:\n  some output changes: True\n  their mean changes:  True\n"
    assert said in printed


def test_one_over_the_position(printed):
    assert numbers(printed, "output   ") == [rounded([1 / (i + 1) for i in range(5)])]


def test_the_sinusoidal_row_and_dot_products(printed):
    row = [f(3 * mpmath.mpf(10000) ** (-mpmath.mpf(2 * k) / 4)) for k in (0, 1) for f in (mpmath.sin, mpmath.cos)]
    assert numbers(printed, "by hand    ", count=1) == numbers(printed, "attnbook    ", count=1) == [rounded(row)]
    omega = [mpmath.mpf(10000) ** (-mpmath.mpf(k) / 16) for k in range(16)]
    expected = rounded([sum(mpmath.cos(5 * w) for w in omega)])
    assert numbers(printed, "formula ", count=1) == [expected]
    for p in (0, 10, 20):
        dot = sum(
            mpmath.sin(p * w) * mpmath.sin((p + 5) * w) + mpmath.cos(p * w) * mpmath.cos((p + 5) * w) for w in omega
        )
        assert numbers(printed, f"from position {p} ", count=1) == [expected]
        assert numbers(printed, f"from position {p} ", count=1) == [rounded([dot])]


def test_shaw_s_weights(printed, prose):
    for i in range(4):
        scores = [2 if j < i else 0 if j == i else -2 for j in range(4)]
        weights = softmax(scores)
        assert numbers(printed, f"weights of query {i}", count=1) == [rounded(weights)]
        if i == 1:
            said = ", ".join(f"{float(w):.4f}" for w in weights)
            assert f"$({said})$" in prose
            assert f"{float(sum(mpmath.exp(s) for s in scores)):.3f}" in prose


def bucket(distance, own=16, exact=8, largest=128):
    """In whole numbers: r is in shared bucket b or above if r^8 8^b >= 128^b 8^8."""
    r, shared = abs(distance), own - exact
    if r >= exact:
        r = exact + max(b for b in range(shared) if r**shared * exact**b >= largest**b * exact**shared)
    return r + (own if distance > 0 else 0)


def test_t5_s_buckets(printed, prose):
    lines = printed.splitlines()
    rows = [line for line in lines if line.startswith(("before distance", "after  distance"))]
    assert len(rows) == 2
    for line in rows:
        distance = [int(x) for x in re.findall(r"-?\d+", line)]
        below = [int(x) for x in re.findall(r"-?\d+", lines[lines.index(line) + 1])]
        assert distance in ([0, -1, -7, -8, -11, -12, -16, -90, -91, -999], [1, 7, 8, 16, 91]) and below == [
            bucket(d) for d in distance
        ]
    assert numbers(printed, "buckets:") == [[bucket(d) for d in (5, -13, 40, -200)]] == [[21, 9, 28, 15]]
    same = [r for r in range(1, 200) if bucket(r) == bucket(40)]
    assert numbers(printed, "with 40:") == [[same[0], same[-1]]]
    edges = [8 * 16 ** (b / 8) for b in range(8)]
    assert ", ".join(f"{e:.3g}" for e in edges) in prose
    assert len({bucket(r) for r in range(-200, 201)}) == 31 and 16 not in {bucket(r) for r in range(-200, 201)}
    assert {bucket(-r) for r in range(91, 5000)} == {15} and bucket(-90) == 14
    assert numbers(printed, "learned numbers:")[0][0] == 32 * 2


def test_rotary_scores_of_one_pair(printed, prose):
    lines = [line for line in printed.splitlines() if line.startswith("q at")]
    assert len(lines) == 5
    for line in lines:
        i, j, score, by_hand = (float(x) for x in re.findall(r"-?\d+\.?\d*", line))
        with mpmath.workdps(30):
            q, k = turn((2, 0), int(i)), turn((1, 1), int(j))
            exact = sum(a * b for a, b in zip(q, k, strict=True))
        assert score == by_hand == pytest.approx(float(exact), abs=5.1e-5)
    assert f"{float(2 * (mpmath.cos(2) + mpmath.sin(2))):.4f}" in prose


def in_layout(x, position, base, layout):
    half = len(x) // 2
    pairs = [(k, k + half) if layout == "half" else (2 * k, 2 * k + 1) for k in range(half)]
    out = [None] * len(x)
    for k, (a, b) in enumerate(pairs):
        out[a], out[b] = turn((x[a], x[b]), position * mpmath.mpf(base) ** (-mpmath.mpf(2 * k) / len(x)))
    return out


def test_both_layouts(printed):
    for layout in ("interleaved", "half"):
        first, second = numbers(printed, f"{layout:22}", count=2)
        assert first == rounded(in_layout([1, 2, 3, 4], 2, 10000, layout))
        assert second == rounded(in_layout([1, 0, 2, 0], 3, 100, layout))
        assert f"{layout:11} found as {layout}" in printed
    assert numbers(printed, "  its length", count=2) == [rounded([mpmath.sqrt(30)])] * 2
    assert "shapes: (1, 2, 6, 6) (1, 2, 6, 6) (1, 2, 6, 6)" in printed  # batch, heads, queries, keys
    assert "layouts mixed, off by more than 0.01: True" in printed
    assert numbers(printed, "rows reordered, largest difference:") == [[0.0]]


def test_alibi(printed):
    slopes = [2.0**-h for h in range(1, 9)]
    assert numbers(printed, "8 heads   ") == [rounded(slopes[:5], 5)]
    assert numbers(printed, "  the other three") == [rounded(slopes[5:], 5)]
    assert numbers(printed, "3 heads   ") == [rounded([2**-4, 2**-8, 2**-2], 5)]
    assert numbers(printed, "bias, slope 1/2") == [rounded([-0.5 * back for back in (4, 3, 2, 1, 0)])]
    assert numbers(printed, "our bias, last row") == [rounded([-0.5 * back for back in (4, 3, 2, 1, 0)])]
    assert numbers(printed, "Bloom's ") == [rounded([0.5 * j for j in range(5)])]
    table = re.findall(r"^slope 1/ *(\d+): from +(\d+) steps back$", printed, flags=re.MULTILINE)
    assert [int(slope) for slope, _ in table] == [2**h for h in range(1, 9)]
    for slope, back in table:
        m, r = 1 / int(slope), int(back)
        assert math.exp(-m * r) < 0.01 <= math.exp(-m * (r - 1))


def test_the_lead_against_dilution(printed):
    for m in (32, 128, 100_000):
        lead = mpmath.findroot(
            lambda b, m=m: mpmath.exp(b) / (mpmath.exp(b) + m - 1) - mpmath.mpf("0.9"), (2, 15), solver="anderson"
        )
        assert numbers(printed, f"{m:6} keys: b =") == [rounded([lead])]


def test_all_forms_agree_and_all_bounds_hold(printed):
    """Differences print as zero, and no bound of a trained model is printed as missed."""
    gaps = [float(x) for x in re.findall(r"largest difference[^:\n]*: (\S+)", printed)]
    assert len(gaps) == 5 and not np.any(gaps)
    bounds = re.findall(r"^\w+ +(?:three back|latest note) +\w+ +[<>] \d\.\d\d: (\w+)$", printed, re.MULTILINE)
    assert bounds == ["True"] * 16
    assert "without positions      right on about half" in printed
    for name in ("with learned positions", "causal, no positions"):
        assert f"{name:22} right on more than 0.95: True" in printed


def test_angles_of_two_bases(printed):
    table = printed[printed.index("pair    base 10,000:") :]
    for k in range(4):
        row = [31 * 10 ** (-k / 2), 127 * 10 ** (-k / 2), 127 * 10 ** (-3 * k / 4)]
        assert numbers(table, f"{k:4}  ")[0] == rounded(row)
    for name in ("three back", "latest note"):
        said = f"{name}, the last 16 positions:\n  base 10,000, below 0.75:    True\n  base 1,000,000, above 0.75: True"
        assert said in printed


def test_far_keys(printed):
    assert re.findall(r"^(\w+) +weight on far keys: .*: (\w+)$", printed, re.MULTILINE) == [
        (kind, "True") for kind in ("Shaw", "T5", "rotary")
    ]


def test_the_bug_is_found_and_the_squeeze_breaks_one_task(printed):
    assert "with the bug: False\nmended:       True" in printed
    assert "latest note, above 0.75 at the end: True\nthree back, below 0.3 at the end:   True" in printed


def test_only_the_trained_rows_changed(printed):
    assert numbers(printed, "rows of the table:") == [[128]]
    assert numbers(printed, "rows that training changed:") == [[32]]
