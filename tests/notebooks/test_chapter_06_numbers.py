"""Chapter 6's printed numbers against a second computation, in NumPy and mpmath, that shares no code with attnbook.

Each test reads the numbers out of the notebook's stored outputs, so that it fails when they change.
"""

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

CHAPTER = Path(__file__).resolve().parents[2] / "chapters" / "06-additive-and-multiplicative.ipynb"

# The toy, typed in again from the page.
QUERY = [[1, 0], [0, 1], [-1, 1], [0.5, -1]]
KEY = [[2, 0], [1, 1.5], [-1, 1], [-2, -1], [0.5, -1.5]]
W_Q = [[1, 0], [0, 1], [-1, 1]]
W_K = [[-1, 0.5], [0.5, -1], [0.5, 0.5]]
V = [1.5, -1, 2]
W = [[0, 1], [-1, 0]]
VALUE = [[1, 0], [0, 1], [1, 1], [2, 0], [0, 2]]
W_LOCATION = [[1, 0], [0, 1], [-1, 1], [0, -1], [-1, -1]]


@pytest.fixture(scope="module")
def printed():
    """All text that the chapter's cells printed."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    texts = ("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    return "\n".join(texts)


def numbers(printed, label, count=None):
    """The numbers behind a label on the lines that begin with it: one list a line."""
    lines = [line[len(label) :] for line in printed.splitlines() if line.startswith(label)]
    assert lines, f"nothing was printed behind {label!r}"
    if count is not None:
        assert len(lines) == count
    return [[float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*(?:e[+-]\d+)?", line)] for line in lines]


def inside(q, k):
    return [mpmath.mpf(sum(a * b for a, b in zip(wq, q, strict=True)) + sum(a * b for a, b in zip(wk, k, strict=True)))
            for wq, wk in zip(W_Q, W_K, strict=True)]  # fmt: skip


def additive(q, k, bend=mpmath.tanh):
    return sum(v * bend(x) for v, x in zip(V, inside(q, k), strict=True))


def dot(a, b):
    return mpmath.mpf(sum(x * y for x, y in zip(a, b, strict=True)))


def general(q, k):
    return dot(q, [dot(row, k) for row in W])


def softmax(scores):
    powers = [mpmath.exp(s) for s in scores]
    return [p / sum(powers) for p in powers]


def rounded(values, digits):
    return pytest.approx([float(v) for v in values], abs=0.50001 * 10**-digits)


def test_one_pair_by_hand(printed):
    pair = inside(QUERY[0], KEY[1])
    assert numbers(printed, "W_q q + W_k k:") == [rounded(pair, 4)]
    assert numbers(printed, "tanh of that:") == [rounded([mpmath.tanh(x) for x in pair], 4)]
    scores = [line for line in printed.splitlines() if line.startswith("score s_12:")]
    score = float(additive(QUERY[0], KEY[1]))
    assert [float(line.split()[-1]) for line in scores] == [pytest.approx(score, abs=5.1e-5)] * 2


def test_the_first_row_by_broadcasting_and_by_the_module(printed):
    assert numbers(printed, "row 1:", count=2) == [rounded([additive(QUERY[0], k) for k in KEY], 4)] * 2


def test_the_queries_cancel_without_tanh_and_differ_with_it(printed):
    lines = [line.split(":", 1)[1] for line in printed.splitlines() if line.startswith("weights of q_")]
    rows = [[float(x) for x in re.findall(r"\d\.\d+", line)] for line in lines]
    assert len(rows) == 8
    for i, query in enumerate(QUERY):
        assert rows[i] == rounded(softmax([additive(query, k, bend=lambda x: x) for k in KEY]), 4)
        assert rows[4 + i] == rounded(softmax([additive(query, k) for k in KEY]), 4)
    assert rows[0] == rows[1] == rows[2] == rows[3]
    shift = [additive(QUERY[1], k, bend=lambda x: x) - additive(QUERY[0], k, bend=lambda x: x) for k in KEY]
    assert numbers(printed, "difference:") == [rounded(shift, 3)]
    assert len(set(shift)) == 1


def test_the_gradient_of_W_q(printed):
    """By central differences of the loss (the sum of the squared outputs), in high precision."""

    def loss(bend, h, c, step):
        w_q = [[mpmath.mpf(x) for x in row] for row in W_Q]
        w_q[h][c] += step
        total = mpmath.mpf(0)
        for q in QUERY:
            hidden = [[dot(w_q[u], q) + dot(W_K[u], k) for u in range(3)] for k in KEY]
            weights = softmax([sum(v * bend(x) for v, x in zip(V, row, strict=True)) for row in hidden])
            for d in range(2):
                total += sum(a * value[d] for a, value in zip(weights, VALUE, strict=True)) ** 2
        return total

    with mpmath.workdps(40):
        step = mpmath.mpf(10) ** -12
        largest = {
            name: max(
                abs(loss(bend, h, c, step) - loss(bend, h, c, -step)) / (2 * step) for h in range(3) for c in range(2)
            )
            for name, bend in (("without tanh", lambda x: x), ("with tanh", mpmath.tanh))
        }
    for name, gradient in largest.items():
        assert numbers(printed, f"{name:13} largest gradient of W_q:") == [rounded([gradient], 4)]
    assert largest["without tanh"] < 1e-20


def test_source_check_E6_5(printed):
    weights = [softmax([additive(q, k) for k in KEY]) for q in QUERY]
    spread = max(abs(a - b) for row in weights for a, b in zip(row, weights[0], strict=True))
    assert numbers(printed, "  with W_q, W_k, tanh, v:") == [rounded([spread], 4)]
    as_described = [softmax([sum(q) + sum(k) for k in KEY]) for q in QUERY]
    assert max(abs(a - b) for row in as_described for a, b in zip(row, as_described[0], strict=True)) < 1e-12
    assert numbers(printed, "  as described:") == [[0.0]]


def test_source_check_E6_3(printed):
    for stretch in (1, 10, 100, 1000):
        largest = max(abs(additive([stretch * x for x in q], k)) for q in QUERY for k in KEY)
        [(growth, score, bound)] = numbers(printed, f"query x {stretch:4}: product x ")
        assert growth == pytest.approx(stretch, rel=1e-3)
        assert score == pytest.approx(float(largest), abs=5.1e-5)
        assert score <= bound == sum(abs(v) for v in V)


def test_shrinking_the_matrices_leaves_the_cubic_part(printed):
    found = [line for line in printed.splitlines() if line.startswith("weights times")]
    parts = [float(line.split()[-1]) for line in found]
    scales = [float(line.split()[2].rstrip(":")) for line in found]
    for c, part in zip(scales, parts, strict=True):
        scores = np.array([[float(additive([c * x for x in q], [c * x for x in k])) for k in KEY] for q in QUERY])
        left = scores - scores.mean(0) - scores.mean(1)[:, None] + scores.mean()
        assert part == pytest.approx(np.abs(left).max(), rel=1e-3)
    assert parts[1] / parts[2] == pytest.approx(1000, rel=0.1)
    said = f"{parts[0] / parts[1]:.0f} times smaller, the second {parts[1] / parts[2]:.0f} times"
    assert said in CHAPTER.read_text(encoding="utf-8")


def test_general_by_hand(printed):
    assert numbers(printed, "one pair:  q_1 . (W k_2) =") == [rounded([general(QUERY[0], KEY[1])], 4)]
    row = [general(QUERY[0], k) for k in KEY]
    assert numbers(printed, "all pairs, row 1:") == numbers(printed, "attnbook, row 1:") == [rounded(row, 4)]


def test_the_outputs_of_every_form(printed):
    forms = {
        "dot": lambda q: [dot(q, k) for k in KEY],
        "scaled dot": lambda q: [dot(q, k) / mpmath.sqrt(2) for k in KEY],
        "general": lambda q: [general(q, k) for k in KEY],
        "additive": lambda q: [additive(q, k) for k in KEY],
        "location": lambda q: [dot(row, q) for row in W_LOCATION],
    }
    for name, scores in forms.items():
        weights = softmax(scores(QUERY[0]))
        output = [sum(a * value[d] for a, value in zip(weights, VALUE, strict=True)) for d in range(2)]
        [(first, second, total)] = numbers(printed, f"{name:11} output of q_1:")
        assert [first, second] == rounded(output, 3) and total == 1


def test_the_key_in_the_middle(printed):
    [(largest,)] = [n[-1:] for n in numbers(printed, "general, 10,000 draws: largest weight of k_3 is")]
    assert largest <= round(1 / 3, 4)
    bump = [3 * mpmath.tanh(x + 1) - 3 * mpmath.tanh(x - 1) for x in (-2, 2, 0)]
    assert numbers(printed, "additive, two units:   weight of k_3 is") == [rounded([softmax(bump)[2]], 4)]


def test_local_p_is_softmax_times_gaussian(printed):
    centers = [10 / (1 + mpmath.exp(-2.5 * mpmath.tanh(x))) for x in (0.2, 0.6, 1.5, 1.0, -0.2, -0.6, -1.0, -1.5)]
    assert numbers(printed, "centers p_t:") == [rounded(centers, 2)]
    rows = [line for line in printed.splitlines() if re.match(r"s = \d: softmax", line)]
    values = [[float(x) for x in re.findall(r"\d\.\d{4}", line)] for line in rows]
    places = [int(line[4]) for line in rows]
    assert places == [s for s in range(10) if abs(s - centers[0]) <= 2]
    for s, (soft, bell, product) in zip(places, values, strict=True):
        assert bell == pytest.approx(float(mpmath.exp(-((s - centers[0]) ** 2) / 2)), abs=5.1e-5)
        assert product == pytest.approx(soft * bell, abs=1e-4)
    [(one, total)] = numbers(printed, "sums:    softmax")
    assert one == pytest.approx(sum(v[0] for v in values), abs=3e-4) == 1
    assert total == pytest.approx(sum(v[2] for v in values), abs=3e-4)
    assert numbers(printed, "local-p  row sums:")[0][0] == pytest.approx(total, abs=6e-3)
    assert all(n == [1.0] * 8 for name in ("global ", "local-m") for n in numbers(printed, f"{name}  row sums:"))


def test_the_edge_of_the_window_does_not_depend_on_its_width(printed):
    for width in (2, 10, 50):
        assert numbers(printed, f"D = {width:2}:") == [rounded([mpmath.exp(-2)], 4)]


def test_the_price_list(printed):
    n = m = 256
    d = h = 64
    priced = {  # parameters, multiplications, tanh, largest tensor: counted on paper
        "dot": (0, n * m * d, 0, n * m),
        "general": (d * d, m * d * d + n * m * d, 0, n * m),
        "additive": (2 * h * d + h, n * d * h + m * d * h + n * m * h, n * m * h, n * m * h),
        "concat": (h * 2 * d + h, n * m * (2 * d) * h + n * m * h, n * m * h, n * m * 2 * d),
        "location": (m * d, n * d * m, 0, n * m),
    }
    table = printed[printed.index("largest tensor") :]
    for name, row in priced.items():
        assert tuple(numbers(table, f"{name:10}")[0]) == row
    ratio = priced["concat"][1] / priced["additive"][1]
    assert f"takes {ratio:g} times as many multiplications as additive" in CHAPTER.read_text(encoding="utf-8")


def test_the_parameters_on_the_swapped_task(printed):
    counts = {"dot": 0, "general": 9 * 9, "additive, 4 units": 4 * 9 * 2 + 4, "additive, 32 units": 32 * 9 * 2 + 32,
              "location": 8 * 9}  # fmt: skip
    table = printed[re.search(r"parameters +swapped", printed).start() : printed.index("smallest on the bands")]
    for name, count in counts.items():
        assert numbers(table, f"{name:19}")[0][0] == count


def test_two_of_eight_keys_can_win_on_the_nearest_task(printed):
    """Under any product, the winner of every query is the smallest or the largest number: 2 of 8 queries are right."""
    generator = np.random.default_rng(5)
    right = []
    for _ in range(200):
        x = generator.uniform(-2, 2, 8)
        with_one = np.stack([x, np.ones(8)], axis=1)
        scores = with_one @ generator.normal(size=(2, 2)) @ with_one.T
        winners = set(scores.argmax(axis=1))
        assert winners <= {x.argmin(), x.argmax()}
        right.append((scores.argmax(axis=1) == np.arange(8)).mean())
    assert max(right) == 2 / 8
    for form in ("dot", "general"):
        rows = [line for line in printed.splitlines() if line.startswith(f"{form:19}")]
        assert any("about 0.25" in row for row in rows)


def test_the_timeline_is_in_the_order_of_the_arxiv_numbers(printed):
    lines = [line for line in printed.splitlines() if re.match(r"\d{4}-\d{2}  ", line)]
    assert len(lines) == 8
    months = [int(line[:4]) * 12 + int(line[5:7]) for line in lines]
    assert all(a < b for a, b in pairwise(months))
    posted = dict(zip((line.split()[1] for line in lines), months, strict=True))
    assert posted["Vaswani"] - posted["Bahdanau,"] == 33
    assert "33 months" in CHAPTER.read_text(encoding="utf-8")


def test_the_memory_of_all_pairs(printed):
    assert numbers(printed, "scores: ")[-1][0] == 4 * 1024**2 / 2**20
    assert numbers(printed, "hidden: ")[-1] == [4 * 1024**3 / 2**20, 1024]
    assert math.prod([4, 5, 3]) == 60 and "hidden: (4, 5, 3)" in printed
