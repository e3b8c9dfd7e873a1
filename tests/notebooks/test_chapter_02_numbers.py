"""Chapter 2's printed numbers against a second computation, in NumPy and mpmath, that shares no code with attnbook.

Each test reads the numbers out of the notebook's stored outputs, so that it fails when they change. What was trained
live is printed as a bound, which the chapter itself asserts.
"""

import json
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "02-query-key-value.ipynb"

# The readings, typed in again from the page.
HOURS = [6, 9, 10, 14, 18, 22]
DEGREES = [4, 9, 12, 22, 18, 8]
PERCENT = [90, 80, 70, 40, 50, 75]


@pytest.fixture(scope="module")
def printed():
    """All text that the chapter's cells printed."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    return "".join(texts)


@pytest.fixture(scope="module")
def prose():
    """All Markdown of the chapter, on one line."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return " ".join("\n".join(texts).split())


def lines(printed, label):
    """The numbers behind a label, one list for each line that begins with it."""
    found = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    assert found, f"nothing was printed behind {label!r}"
    return [[float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*", line)] for line in found]


def part(printed, first, last):
    """The text from one phrase up to another."""
    start = printed.index(first)
    return printed[start : printed.index(last, start)]


def rounded(values, digits=4):
    return pytest.approx([float(v) for v in values], abs=0.50001 * 10**-digits)


def closeness(query, hours=HOURS):
    return [-((mpmath.mpf(query) - hour) ** 2) / 4 for hour in hours]


def softmax(scores):
    powers = [mpmath.exp(s) for s in scores]
    return [p / mpmath.fsum(powers) for p in powers]


def mix(weights, values):
    return mpmath.fsum(w * v for w, v in zip(weights, values, strict=True))


def at(query, values=DEGREES, hours=HOURS):
    return mix(softmax(closeness(query, hours)), values)


WEIGHTS = softmax(closeness(13))
OUTPUT = mix(WEIGHTS, DEGREES)


def clock_scores(hour, length=10):
    """Scaled dot products on the face: the angle alone counts."""
    apart = [2 * mpmath.pi * (hour - h) / 24 for h in HOURS]
    return [length * mpmath.cos(angle) / mpmath.sqrt(2) for angle in apart]


def test_exact_and_nearest(printed):
    assert lines(printed, "14:00:") == [[DEGREES[HOURS.index(14)]]]
    assert 13 not in HOURS and "13:00: KeyError 13" in printed
    table = part(printed, "11.99:", "key  value")
    for query in (11.99, 12.01, 13, 13.5):
        answer = DEGREES[int(np.argmin([abs(h - query) for h in HOURS]))]
        assert lines(table, f"{query:5}:") == [[answer]]


def test_the_table_of_the_soft_look_up(printed, prose):
    table = part(printed, "key  value", "output")
    for hour, value, score, weight in zip(HOURS, DEGREES, closeness(13), WEIGHTS, strict=True):
        [row] = lines(table, f"{hour:3} ")
        assert row[0] == value
        assert row[1:] == [
            pytest.approx(float(score), abs=0.0051),
            pytest.approx(float(weight), abs=5.1e-5),
            pytest.approx(float(weight * value), abs=5.1e-5),
        ]
    assert all(row == rounded([OUTPUT]) for row in lines(printed, "output  ") if len(row) == 1)
    assert lines(printed, "weight    ") == [rounded(WEIGHTS)]
    headers = [row for row in lines(printed, "hour     ") if len(row) == 6]
    assert headers == [HOURS] * 3 and "output (1, 1)  weights (1, 6)" in printed
    assert f"| {float(WEIGHTS[3]):.4f} |" in prose and f"| {float(OUTPUT):.2f} |" in prose
    assert "The output is 20.56 degrees: 86 percent of the 22 at 14:00, 12 percent of the 12 at 10:00" in prose
    assert [round(100 * float(w)) for w in (WEIGHTS[3], WEIGHTS[2])] == [86, 12]


def test_two_entries_with_a_pencil(printed, prose):
    for query in (2, 1.5, 0):
        weight, _ = weights = softmax([-((query - 1) ** 2), -((query - 3) ** 2)])
        assert lines(printed, f"{query:3}: weight") == [rounded([weight, mix(weights, [10, 20])])]
    assert "$e^{-2} = 0.1353$" in prose and round(float(mpmath.exp(-2)), 4) == 0.1353
    assert "$e^{-8} = 0.000335$" in prose and round(float(mpmath.exp(-8)), 6) == 0.000335


def test_the_sharpness(printed, prose):
    table = part(printed, "     t  weight", "plain mean")
    for t in (0, 0.1, 1, 3, 10):
        weights = softmax([t * s for s in closeness(13)])
        assert lines(table, f"{t:6} ") == [rounded([weights[3], mix(weights, DEGREES)])]
    assert lines(printed, "plain mean") == [rounded([np.mean(DEGREES)])]
    assert round(float(np.mean(DEGREES)), 2) == 12.17 and "plain mean (12.17)" in prose
    noon = softmax([1000 * s for s in closeness(12)])
    assert float(mix(noon, DEGREES)) == pytest.approx((12 + 22) / 2)


def test_one_score_and_two_weights(printed):
    more = softmax(closeness(13, [*HOURS, 12.75]))
    assert lines(printed, "6 readings") == [rounded([closeness(13)[3], WEIGHTS[3]])]
    assert lines(printed, "7 readings") == [rounded([closeness(13)[3], more[3]])]
    assert lines(printed, "6, all scores + 5") == [rounded([closeness(13)[3] + 5, WEIGHTS[3]])]


def test_what_moves_the_weights(printed):
    later_keys = softmax(closeness(13, [h + 1 for h in HOURS]))
    later_query = softmax(closeness(14))
    moved = {
        "values x 100": (WEIGHTS, [100 * v for v in DEGREES]),
        "values reversed": (WEIGHTS, DEGREES[::-1]),
        "keys + 1 hour": (later_keys, DEGREES),
        "query + 1 hour": (later_query, DEGREES),
    }
    for name, (weights, values) in moved.items():
        most = max(abs(a - b) for a, b in zip(weights, WEIGHTS, strict=True))
        change = abs(mix(weights, values) - OUTPUT)
        assert lines(printed, f"{name:16}") == [rounded([most, change])]


def test_temperature_and_humidity(printed):
    assert lines(printed, "temperature ") == [rounded([OUTPUT, OUTPUT])]
    assert lines(printed, "humidity ") == [rounded([mix(WEIGHTS, PERCENT)] * 2)]


def test_fahrenheit_and_the_square(printed):
    for name, convert in (("fahrenheit", lambda c: 1.8 * c + 32), ("square", lambda c: c**2)):
        both = mix(WEIGHTS, [convert(v) for v in DEGREES]), convert(OUTPUT)
        assert lines(printed, f"{name:10}  convert first") == [rounded(both, 2)]


def test_the_clock(printed):
    assert "hour 1 hour 25" in printed
    assert lines(printed, "as numbers") == [rounded([at(1), at(25)])]
    answer = mix(softmax(clock_scores(1)), DEGREES)
    assert lines(printed, "on a clock") == [rounded([answer, answer])]
    assert lines(printed, "dot product")[0] == rounded([s * mpmath.sqrt(2) for s in clock_scores(1)])
    assert lines(printed, "scaled  ") == [rounded(clock_scores(1))]
    assert lines(printed, "normalized") == [rounded(softmax(clock_scores(1)))]


def test_the_output_is_within_the_values(printed):
    assert lines(printed, "negative weights:") == [[0, 1000 * 20]]
    assert lines(printed, "sums of weights:") == [[1, 1]]
    assert lines(printed, "below the smallest value:") == lines(printed, "above the largest value:") == [[0, 1000 * 3]]


def test_the_line_that_it_cannot_follow(printed, prose):
    table = part(printed, "query   line  look-up", "hour")
    for query in (2.5, 5.0, 8.0, 100.0):
        answer = at(query, [2 * k for k in range(6)], range(6))
        assert lines(table, f"{query:5.1f} ") == [[2 * query, pytest.approx(float(answer), abs=5.1e-5)]]
    assert "it says 8.32 and not 10" in prose
    assert round(float(at(5, [2 * k for k in range(6)], range(6))), 2) == 8.32


def test_where_nothing_fits(printed):
    known = part(printed, "hour              13      40", "hour              13       2")
    assert lines(known, "output") == [rounded([at(13), at(40)])]
    assert lines(known, "best weight") == [rounded([max(softmax(closeness(q))) for q in (13, 40)])]
    queries = 13, 2, 40
    assert lines(printed, "hour     ").count([*queries]) == 1
    seven = [softmax([*closeness(q), -4]) for q in queries]
    assert lines(printed, "nothing  ") == [rounded([w[6] for w in seven])]
    assert lines(printed, "the six") == [rounded([at(q) for q in queries])]
    assert lines(printed, "all seven") == [rounded([mix(w, [*DEGREES, 0]) for w in seven])]


def test_why_two(printed, prose):
    hour = at(13, HOURS)
    assert lines(printed, "1. key as value:") == [rounded([hour], 2)]
    assert f"{float(hour):.2f} or about 13:{round(60 * float(hour - 13)):02}" in prose
    whole = softmax([-((13 - h) ** 2 + (0 - d) ** 2) / mpmath.mpf(4) for h, d in zip(HOURS, DEGREES, strict=True)])
    assert lines(printed, "2. one vector for both:") == [rounded([mix(whole, DEGREES)], 2)]
    assert lines(printed, "3. read by matrices:") == [rounded([OUTPUT], 2)]
    assert lines(printed, "   weights ") == [rounded(whole), rounded(WEIGHTS)]


def test_the_distance_as_a_dot_product(printed):
    features = [mpmath.mpf(13) * h / 2 - mpmath.mpf(h) ** 2 / 4 for h in HOURS]
    assert lines(printed, "closeness") == [rounded(WEIGHTS)]
    assert lines(printed, "dot product")[1] == rounded(softmax(features))


def test_order_and_repetition(printed):
    assert lines(printed, "as it was") == lines(printed, "shuffled  ") == [rounded([OUTPUT])]
    double = softmax(closeness(13, [*HOURS, 10]))
    assert lines(printed, "10:00 twice") == [rounded([mix(double, [*DEGREES, 12])])]
    assert lines(printed, "weight of 10:00, once:") == [rounded([WEIGHTS[2]])]
    assert lines(printed, "weight of 10:00, twice:") == [rounded([double[2], double[6]])]


def test_the_gradients_by_differences(printed, prose):
    h = mpmath.mpf("1e-8")

    def slope(f):
        return (f(h) - f(-h)) / (2 * h)

    def moved(numbers, j, step):
        return [x + step * (i == j) for i, x in enumerate(numbers)]

    of_keys = [slope(lambda e, j=j: at(13, DEGREES, moved(HOURS, j, e))) for j in range(6)]
    of_values = [slope(lambda e, j=j: at(13, moved(DEGREES, j, e))) for j in range(6)]
    of_scores = [slope(lambda e, j=j: mix(softmax(moved(closeness(13), j, e)), DEGREES)) for j in range(6)]
    assert lines(printed, "by value  ") == [rounded(of_values)]
    assert lines(printed, "by key") == [rounded(of_keys)]
    assert lines(printed, "by query") == [rounded([slope(lambda e: at(13 + e))])]
    assert lines(printed, "by score") == [rounded(of_scores)]
    assert lines(printed, "nearest  ") == [[0]]
    assert [round(float(of_keys[j]), 2) for j in (3, 2)] == [-0.62, -1.5]
    assert "$-0.62$: to an earlier hour" in prose and "$-1.50$: to an earlier hour too" in prose


def test_three_scores(printed):
    cosines = [s * mpmath.sqrt(2) / 10 for s in clock_scores(13)]
    sharp = [c / mpmath.mpf("0.05") for c in cosines]
    scores = {"scaled_dot": clock_scores(13), "cosine": cosines, "sharp_cosine": sharp}
    for name, s in scores.items():
        weights = softmax(s)
        assert lines(printed, f"{name:12} ") == [rounded([mix(weights, DEGREES), max(weights)])]


def test_the_shown_dictionaries_hold_their_answers(printed):
    rows = [line for line in printed.splitlines() if re.fullmatch(r"(\w\w: +\d+ +){4}\w\w\? +\d+", line)]
    assert len(rows) == 3
    for row in rows:
        shown = dict(re.findall(r"(\w\w): +(\d+)", row))
        [(asked, answer)] = re.findall(r"(\w\w)\? +(\d+)", row)
        assert len(shown) == 4 and shown[asked] == answer


def test_the_parameters(printed, prose):
    keys, values, d = 64, 32, 64
    tables, last = (keys + values) * d, d * values + values
    gru = 3 * (d * d + d * d + d + d)  # three gates: input and state, each with a bias
    assert lines(printed, "LookUp") == [[tables + 3 * d * d + last]]
    assert lines(printed, "Recurrent") == [[tables + gru + last]]
    assert f"only {keys * values:,} different ones" in prose


def test_every_bound_held(printed):
    assert "False" not in printed
    bounds = [line for line in printed.splitlines() if line.endswith(": True")]
    assert len(bounds) == 7 + 3 + 3 + 3 + 4 + 1
