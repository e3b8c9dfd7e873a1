"""The numbers that chapter 5 computes, against mpmath with 50 digits.

Nothing here imports attnbook or torch. The printed numbers are read from the notebook's stored outputs, so one that
changes there fails here. What the chapter measures on random vectors is in test_chapter_05_measured.py.
"""

import re
from itertools import pairwise

import numpy as np
import pytest
from chapter_05 import NUMBER, agree, cells, output, printed
from mpmath import mp, mpf

Q = [mpf(1), mpf(2), mpf(3)]
K = [[mpf(4), mpf(5), mpf(6)], [mpf(7), mpf(8), mpf(9)]]
V = [[mpf(10), mpf(11), mpf(12)], [mpf(13), mpf(14), mpf(15)]]
QUERY = [mpf(2), mpf(1)]
KEYS = [[1, mpf("0.5")], [1, 4], [2, 0], [mpf("-0.25"), mpf("-0.25")], [-2, 3]]


def dot(a, b):
    return mp.fsum(x * y for x, y in zip(a, b, strict=True))


def length(a):
    return mp.sqrt(dot(a, a))


def cosine(a, b):
    return dot(a, b) / (length(a) * length(b))


def softmax(scores):
    powers = [mp.exp(s) for s in scores]
    return [p / mp.fsum(powers) for p in powers]


def average(weights, values):
    return [mp.fsum(w * v[c] for w, v in zip(weights, values, strict=True)) for c in range(len(values[0]))]


def test_scores_of_the_pictured_keys():
    columns = {"dot": [dot(QUERY, k) for k in KEYS], "cosine": [cosine(QUERY, k) for k in KEYS]}
    columns["scaled_dot"] = [s / mp.sqrt(2) for s in columns["dot"]]
    for j, name in enumerate("abcde"):
        agree(printed("product / lengths", f"{name}  "), [columns[c][j] for c in ("dot", "scaled_dot", "cosine")])
    for score in columns:
        agree(printed('row(scores[0], "7.3f")', score + " "), columns[score])


def test_b4_1a_the_division_is_the_difference():
    scores = [dot(QUERY, k) for k in KEYS]
    agree(printed("B4.1a", "dot / scaled dot:"), [mp.sqrt(2)] * 5)
    agree(printed("B4.1a", "root of d_k:"), [mp.sqrt(2)])
    agree(printed("B4.1a", "weight of key b:"), [softmax(scores)[1], softmax([s / mp.sqrt(2) for s in scores])[1]])


def test_exercise_by_hand():
    keys = [[4, 3], [0, 10], [-3, -4]]
    dots = [dot([3, 4], k) for k in keys]
    marker = 'row(scores, "7.2f")'
    agree(printed(marker, "dot "), [*dots, 2])
    agree(printed(marker, "scaled_dot"), [*(s / mp.sqrt(2) for s in dots), 2])
    agree(printed(marker, "cosine"), [*(cosine([3, 4], k) for k in keys), 1])


def test_b4_1b_and_b4_2_scores_are_not_weights():
    scores = [dot(QUERY, k) / mp.sqrt(2) for k in KEYS]
    agree(printed("B4.1b", "scores:"), [*scores, mp.fsum(scores)])
    agree(printed("B4.1b", "weights:"), [*softmax(scores), 1])
    agree(printed("B4.2", "with the weights:"), [10, 20])
    agree(printed("B4.2", "with the scores:"), [10 * mp.fsum(scores), 20 * mp.fsum(scores)])


def test_a4_3_softmax():
    agree(printed("A4.3", "shifted:"), [*softmax([1000, 1001, 1003]), 1])
    agree(printed("A4.3", "200 below the best:"), [softmax([0, -200])[1], 0])
    assert "nan nan nan   exp(1000) = inf" in output("A4.3")
    with np.errstate(over="ignore", invalid="ignore"):  # float32 overflows from exp(88.73) on
        assert np.isinf(np.exp(np.float32(1000))) and np.isnan(np.float32(np.inf) / np.float32(np.inf))


def test_a4_4a_scores_of_the_example():
    agree(printed("A4.4a", "dot products:"), [dot(Q, k) for k in K])
    agree(printed("A4.4a", "scaled scores:"), [dot(Q, k) / mp.sqrt(3) for k in K])


def test_a4_4b_weights_of_the_example():
    weights = softmax([dot(Q, k) / mp.sqrt(3) for k in K])
    agree(printed("A4.4b", "weights:"), [*weights, weights[1] / weights[0]])
    gap = mp.log(mpf("0.613") / mpf("0.387"))
    text = output("A4.4b").replace("d_k = ", "").replace("sqrt(d_k) = ", "").replace("sqrt()", "")
    agree(NUMBER.findall(text.splitlines()[1]), [gap, 18 / gap, (18 / gap) ** 2])


def test_a4_4c_output_of_the_example():
    exact = average(softmax([dot(Q, k) / mp.sqrt(3) for k in K]), V)
    document = [mpf("12.74"), mpf("13.51"), mpf("14.28")]
    agree(printed("A4.4c", "output:"), exact)
    agree(printed("A4.4c", "with the printed weights:"), average([mpf("0.387"), mpf("0.613")], V))
    agree(printed("A4.4c", "rises by:"), [b - a for o in (exact, document) for a, b in pairwise(o)])
    asked = [(o - a) / (b - a) for o, a, b in zip(document, *V, strict=True)]
    agree(printed("A4.4c", "each printed component asks for the weight:"), asked)
    # Three equations, two unknowns: the first two determine them, the third is then fulfilled too.
    factors = mp.lu_solve(mp.matrix([[10, 13], [11, 14]]), mp.matrix(document[:2]))
    assert mp.almosteq(12 * factors[0] + 15 * factors[1], document[2])
    agree(printed("A4.4c", "combine the values into it:"), [*factors, sum(factors)])


def test_a4_1_two_measures_of_relevance():
    agree(printed("A4.1", "dot:"), [dot(Q, k) for k in K])
    agree(printed("A4.1", "cosine:"), [cosine(Q, k) for k in K])
    lengths = [length(k) for k in K]
    agree(printed("A4.1", "lengths:"), [*lengths, lengths[1] / lengths[0]])


def test_three_scores_three_attentions():
    dots = [dot(Q, k) for k in K]
    scaled = [s / mp.sqrt(3) for s in dots]
    for name, scores in {"dot ": dots, "scaled_dot": scaled, "cosine": [cosine(Q, k) for k in K]}.items():
        weights = softmax(scores)
        agree(printed('row(weights[0], ".3e")', name), [*weights, *average(weights, V)])


def test_d4_1_without_the_scale():
    unscaled = softmax([32, 50])[0]
    scaled = softmax([32 / mp.sqrt(3), 50 / mp.sqrt(3)])[0]
    agree(printed("D4.1", "weight of key 1:"), [unscaled, scaled])
    agree(printed("D4.1", "ratio:"), [scaled / unscaled])


def test_jacobian_of_the_example():
    a, b = softmax([32 / mp.sqrt(3), 50 / mp.sqrt(3)])
    for line in ("by the formula:", "by autograd:"):
        agree(printed("def jacobian", line), [a * (1 - a), -a * b, -b * a, b * (1 - b)])


def test_d5_the_root_of_the_models_width():
    agree(printed("D5", "ratio:"), [mp.sqrt(8)])
    assert "used but not imported: math, F\n" in output("D5")
    right, listing = printed("D5", "spread of the scores:")
    assert abs(float(right) - 1) < 0.02 and abs(float(listing) - 8**-0.5) < 0.01


def test_exercise_louder_queries():
    longer = [*KEYS[:2], [4, 0], *KEYS[3:]]
    cases = {"as it is": (1, KEYS), "query x 2": (2, KEYS), "key c x 2": (1, longer)}
    forms = {"dot": lambda q, k: dot(q, k), "scaled_dot": lambda q, k: dot(q, k) / mp.sqrt(2), "cosine": cosine}
    for score, form in forms.items():
        for case, (factor, keys) in cases.items():
            weights = softmax([form([factor * x for x in QUERY], k) for k in keys])
            agree(printed("key c x 2", f"{score:10} {case:9}"), weights)
            assert f"first: {'abcde'[weights.index(max(weights))]}" in next(
                line for line in output("key c x 2").splitlines() if line.startswith(f"{score:10} {case}")
            )


def test_b4_1c_the_largest_weight_under_the_cosine():
    scores = [cosine(QUERY, k) for k in KEYS]
    agree(printed("B4.1c", "cosines:"), [*scores, mp.fsum(scores)])
    weights = softmax([1, *[-1] * 15])
    agree(printed("B4.1c", "largest of 16:"), [weights[0], mp.e**2 / (mp.e**2 + 15), mp.e**2])


def test_rms_norm_is_a_temperature():
    agree(printed("by_norm = scaled_dot", "largest possible weight among 1,000 keys:"), [softmax([8, *[-8] * 999])[0]])
    assert "equal to 1e-12: True" in output("by_norm = scaled_dot")


def test_d4_3_norms_of_matrices():
    third = [mpf(20), mpf(0), mpf(0)]
    for keys in (K, [*K, third]):
        matrix = mp.matrix(keys)
        dots = [dot(Q, k) for k in keys]
        frobenius = mp.sqrt(mp.fsum(dot(k, k) for k in keys))
        spectral = mp.sqrt(max(mp.eigsy(matrix.T * matrix, eigvals_only=True)))
        agree(printed("D4.3", f"{len(keys)} keys, each row:"), [cosine(Q, k) for k in keys])
        agree(printed("D4.3", f"{len(keys)} keys, matrix, Frobenius:"), [s / (length(Q) * frobenius) for s in dots])
        agree(printed("D4.3", f"{len(keys)} keys, matrix, spectral:"), [s / (length(Q) * spectral) for s in dots])


def test_exercise_one_vector_added_to_all_keys():
    for score, count in (("dot ", "20"), ("scaled_dot", "20"), ("cosine", "0")):
        assert printed("vectors = [", score) == [count, "20"]
    b = [mpf("1.7"), mpf("-0.4")]
    moved = [[x + y for x, y in zip(k, b, strict=True)] for k in KEYS]
    before, after = (softmax([dot(QUERY, k) for k in keys]) for keys in (KEYS, moved))
    assert all(mp.almosteq(x, y) for x, y in zip(before, after, strict=True))
    before, after = (softmax([cosine(QUERY, k) for k in keys]) for keys in (KEYS, moved))
    assert max(abs(x - y) for x, y in zip(before, after, strict=True)) > 0.01


def test_exercise_a_cosine_above_one():
    rows = {tuple(line.split()[:2]): line for line in output("def mended").splitlines()}
    assert [name for name, line in rows.items() if "right: False" in line] == [("batch", "my_cosine")]
    for name, line in rows.items():
        largest = float(re.search(r"largest ([\d.]+)", line)[1])
        assert (largest > 1) == (name == ("batch", "my_cosine"))


def test_exercise_choose_a_temperature():
    for m in (16, 1024):
        text = printed("cosines = torch.zeros", f"{m} keys: T =")
        agree(text, [mpf("0.8") / mp.log(9 * (m - 1)), mpf("0.9")])


@pytest.mark.parametrize(
    ("claim", "numbers"),
    {
        "A4.1": [(cosine(Q, K[0]), 6), (cosine(Q, K[1]), 6), (length(K[1]) / length(K[0]), 2)],
        "A4.4a": [(32 / mp.sqrt(3), 3), (50 / mp.sqrt(3), 3)],
        "A4.4b": [(w, 8) for w in softmax([32 / mp.sqrt(3), 50 / mp.sqrt(3)])] + [(18 / mp.log(mpf(613) / 387), 1)],
        "A4.4c": [(o, 6) for o in average(softmax([32 / mp.sqrt(3), 50 / mp.sqrt(3)]), V)],
        "B4.1c": [(mp.e**2, 3), (mp.e**2 / (mp.e**2 + 15), 2)],
        "D4.1": [(softmax([32, 50])[0] * 10**8, 3)],
        "D5": [(mp.sqrt(8), 3)],
    }.items(),
)
def test_numbers_in_the_boxes(claim, numbers):
    boxes = [text for cell in cells() if f"Source check {claim}:" in (text := "".join(cell["source"]))]
    assert len(boxes) == 1
    for number, digits in numbers:
        assert f"{float(number):.{digits}f}" in boxes[0], f"{mp.nstr(number, 12)} is not in the box of {claim}"
