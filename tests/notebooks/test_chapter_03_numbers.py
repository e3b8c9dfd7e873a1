"""Chapter 3's worked example, computed again with mpmath to 30 digits, against the numbers that stand on the page.

Nothing here comes from attnbook or torch. A number on the page agrees if the exact one rounds to it, give or take the
rounding of 32-bit arithmetic. Every number that the test expects must be found, each in its own place.
"""

import json
import re
from pathlib import Path

import mpmath
import pytest
from mpmath import mp, mpf

NOTEBOOK = Path(__file__).resolve().parents[2] / "chapters" / "03-scaled-dot-product.ipynb"
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
FLOAT32 = mpf("2e-6")  # what 32-bit arithmetic may add; numbers with more than 4 decimals come from 64-bit arithmetic

Q = [[1, 0, 0, 2], [0, 1, 2, 0], [1, 2, 0, 0]]
K = [[2, 0, -1, 0], [2, 0, 1, 1], [0, 2, 1, 0]]
V = [[1, 0], [5, 1], [2, 4]]
CATS = 0

mp.dps = 30


def dot(a, b):
    return sum(mpf(x) * y for x, y in zip(a, b, strict=True))


def softmax(scores):
    exps = [mpmath.exp(score) for score in scores]
    return [e / sum(exps) for e in exps]


def mix(weights, values=V):
    return [dot(weights, column) for column in zip(*values, strict=True)]


def transposed(rows):
    return [list(column) for column in zip(*rows, strict=True)]


DOTS = [[dot(q, k) for k in K] for q in Q]
SCORES = [[d / mpmath.sqrt(4) for d in row] for row in DOTS]
WEIGHTS = [softmax(row) for row in SCORES]
OUTPUT = [mix(row) for row in WEIGHTS]


def cells(kind):
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def stored_output(snippet):
    """What the one code cell whose source has the snippet printed."""
    found = [cell for cell in cells("code") if snippet in "".join(cell["source"])]
    assert len(found) == 1, f"{len(found)} cells have {snippet!r}"
    return "".join(text for output in found[0]["outputs"] for text in output.get("text", []))


def after(snippet, label, count):
    """The count numbers that follow the label, as the cell with the snippet printed them."""
    text = stored_output(snippet)
    lines = [match.end() for match in re.finditer(rf"^{re.escape(label)}", text, re.MULTILINE)]
    assert len(lines) == 1, f"{len(lines)} lines begin with {label!r}"
    numbers = NUMBER.findall(text[lines[0] :])[:count]
    assert len(numbers) == count
    return numbers


def rounds_to(exact, printed):
    decimals = len(printed.partition(".")[2])
    return abs(mpf(exact) - mpf(printed)) <= mpf(10) ** -decimals / 2 + (FLOAT32 if decimals <= 4 else 0)


def flat(rows):
    return [x for row in rows for x in row]


# What the chapter does with the example, again and exactly.
RESHAPED = transposed([flat(K)[3 * row : 3 * row + 3] for row in range(4)])  # the three columns of key.reshape(4, 3)
UNSCALED = [softmax(row) for row in DOTS]
GAP_UNSCALED = max(abs(a - b) for a, b in zip(flat(map(mix, UNSCALED)), flat(OUTPUT), strict=True))
OTHER_SIZE = mix(softmax([d / mpmath.sqrt(64) for d in DOTS[CATS]]))
NO_SOFTMAX = [mix(row) for row in SCORES]
SQUARE = [[*v, third] for v, third in zip(V, (1, 0, 1), strict=True)]
COPIED = softmax([*SCORES[CATS], SCORES[CATS][1]])
WRONG_AXIS = transposed([softmax(column) for column in transposed(SCORES)])
ORDER = [2, 0, 1]
MOVED = [mix([row[j] for j in ORDER]) for row in WEIGHTS]  # weights in the keys' new order, values in the old one
GAP_MOVED = max(abs(a - b) for a, b in zip(flat(MOVED), flat(OUTPUT), strict=True))
MASKED = softmax([SCORES[CATS][0], SCORES[CATS][2]])

# The gradient of the sum of the output of cats: with u_j = sum of v_j and u = sum_j alpha_j u_j, the derivative with
# respect to the score s_j is alpha_j (u_j - u), and s_j = q . k_j / 2.
SUMS = [sum(v) for v in V]
SLOPES = [a * (u - dot(WEIGHTS[CATS], SUMS)) for a, u in zip(WEIGHTS[CATS], SUMS, strict=True)]
TO_QUERY = mpmath.norm([dot(SLOPES, column) / 2 for column in zip(*K, strict=True)])
TO_KEYS = [mpmath.norm([slope * x / 2 for x in Q[CATS]]) for slope in SLOPES]
TO_VALUES = [mpmath.norm([a, a]) for a in WEIGHTS[CATS]]

# drink has the share x of its 99% when 1 + r + r^2 = 1/0.99 with r = exp(-t); the chapter tries t in steps of 0.01.
SHARP = mpmath.ceil(-100 * mpmath.log(max(mpmath.polyroots([1, 1, 1 - 1 / mpf("0.99")])))) / 100

PENCIL_2 = "dots = [sum("
PRINTED = [
    (PENCIL_2, "dot products:", DOTS[1]),
    (PENCIL_2, "exponentials:", [mpmath.exp(s) for s in SCORES[1]]),
    (PENCIL_2, "their sum:", [sum(mpmath.exp(s) for s in SCORES[1])]),
    (PENCIL_2, "weights:", WEIGHTS[1]),
    (PENCIL_2, "output:", OUTPUT[1]),
    ("def attend(", "cats", OUTPUT[0]),
    ("def attend(", "drink", OUTPUT[1]),
    ("def attend(", "milk", OUTPUT[2]),
    ("output = weights @ value", "scores", flat(SCORES)),
    ("output = weights @ value", "weights", flat(WEIGHTS)),
    ("output = weights @ value", "output", flat(OUTPUT)),
    ("key.reshape", "transposed", DOTS[CATS]),
    ("key.reshape", "reshaped", [dot(Q[CATS], column) for column in RESHAPED]),
    ("by_steps =", "by the steps", UNSCALED[CATS]),
    ("by_steps =", "by the formula", WEIGHTS[CATS]),
    ("by_steps =", "the outputs differ by up to", [GAP_UNSCALED]),
    ("by_pytorch,", "loops", [*OUTPUT[CATS], 0]),
    ("by_pytorch,", "three lines", [*OUTPUT[CATS], 0]),
    ("by_pytorch,", "attention", [*OUTPUT[CATS], 0]),
    ("by_pytorch,", "PyTorch, plain", [*OUTPUT[CATS], 0]),
    ("by_pytorch,", "PyTorch, fused", [*OUTPUT[CATS], 0]),
    ("quoted =", "repaired", OUTPUT[CATS]),
    ("quoted =", "with d_k=64", OTHER_SIZE),
    ("smallest weight", "smallest weight", [min(flat(WEIGHTS))]),
    ("smallest weight", "sums of rows", [1, 1, 1]),
    ("unnormalized =", "smallest score", [min(flat(SCORES))]),
    ("unnormalized =", "sums of scores", [sum(row) for row in SCORES]),
    ("unnormalized =", "scores @ value", flat(NO_SOFTMAX)),
    ("weights * value", "elementwise", [a * x for a, x in zip(WEIGHTS[CATS], SQUARE[CATS], strict=True)]),
    ("weights * value", "matrix product", mix(WEIGHTS[CATS], SQUARE)),
    ("new_weights", "four weights", COPIED),
    ("new_weights", "new output", mix(COPIED, [*V, V[1]])),
    ("new_weights", "old output", OUTPUT[CATS]),
    ("recovered", "recovered:", WEIGHTS[2]),
    ("recovered", "true:", WEIGHTS[2]),
    ("wrong = scores", "dim=-1, sums", [1, 1, 1]),
    ("wrong = scores", "dim=-2, sums", [sum(row) for row in WRONG_AXIS]),
    ("wrong = scores", "dim=-1, cats", OUTPUT[CATS]),
    ("wrong = scores", "dim=-2, cats", mix(WRONG_AXIS[CATS])),
    ("order =", "keys with their values:", [0]),
    ("order =", "queries, and the output:", [0]),
    ("order =", "keys without their values:", [GAP_MOVED]),
    (".backward()", "three queries", [TO_QUERY, 0, 0]),
    (".backward()", "three keys", TO_KEYS),
    (".backward()", "three values", TO_VALUES),
    ("gradient of V", "gradient of V", WEIGHTS[CATS]),
    ("gradient of V", "weights", WEIGHTS[CATS]),
    ("q, k, v = X @ W_Q", "by these steps", flat(OUTPUT)),
    ("mask = torch.ones", "open", WEIGHTS[CATS]),
    ("mask = torch.ones", "masked", [MASKED[0], 0, MASKED[1]]),
    ("sharpness =", "weights at t=0", [mpf(1) / 3] * 3),
    ("sharpness =", "99% from t =", [SHARP]),
]


@pytest.mark.parametrize(("snippet", "label", "exact"), PRINTED, ids=[label for _, label, _ in PRINTED])
def test_a_printed_number_is_the_exact_one_rounded(snippet, label, exact):
    for number, printed in zip(exact, after(snippet, label, len(exact)), strict=True):
        assert rounds_to(number, printed), f"the page has {printed}, exact is {mpmath.nstr(number, 10)}"


def test_the_pencil_s_error_is_that_of_its_rounding():
    """The pencil's row of the table: the output of cats, and how far five decimals are from it."""
    first, second, difference = after("by_pytorch,", "pencil", 3)
    pencil = [mpf("3.75099"), mpf("1.02536")]
    error = max(abs(a - b) for a, b in zip(pencil, OUTPUT[CATS], strict=True))
    assert rounds_to(OUTPUT[CATS][0], first)
    assert rounds_to(OUTPUT[CATS][1], second)
    assert difference == mpmath.nstr(error, 1, min_fixed=-10)


def numbers_in_text(heading, decimals):
    """The numbers with that many decimals in the text from a heading to the next code cell."""
    text = [source for cell in cells("markdown") if heading in (source := "".join(cell["source"]))]
    assert len(text) == 1
    return re.findall(rf"(?<![\d.])-?\d+\.\d{{{decimals}}}(?!\d)", text[0][text[0].index(heading) :])


@pytest.mark.parametrize(
    ("heading", "decimals", "exact"),
    [
        (
            "## One query, with a pencil",
            5,
            [mpmath.e, mpmath.e**2, mpf(1), sum(map(mpmath.exp, SCORES[CATS])), *WEIGHTS[CATS], *OUTPUT[CATS]],
        ),
        ("## Summary", 4, [*WEIGHTS[CATS], *OUTPUT[CATS], *(sum(row) for row in WRONG_AXIS)]),
    ],
)
def test_the_numbers_in_the_text_are_the_exact_ones_and_none_is_missing(heading, decimals, exact):
    written = {mpf(number) for number in numbers_in_text(heading, decimals)}
    rounded = {mpf(mpmath.nint(number * 10**decimals)) / 10**decimals for number in exact}
    assert {mpmath.nstr(x, 8) for x in written} == {mpmath.nstr(x, 8) for x in rounded}


def test_no_output_of_the_example_leaves_the_triangle_and_each_does_without_the_softmax():
    """By barycentric coordinates, which the chapter does not use for it."""

    def inside(point):
        shares = mpmath.lu_solve(mpmath.matrix([*transposed(V), [1, 1, 1]]), mpmath.matrix([*point, 1]))
        return all(0 < share < 1 for share in shares)

    assert [inside(point) for point in OUTPUT] == [True] * 3
    assert [inside(point) for point in NO_SOFTMAX] == [False] * 3
