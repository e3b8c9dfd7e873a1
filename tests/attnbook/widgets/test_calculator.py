"""The calculator: its arithmetic in the page, its results in Python, its errors, its picture, its copied code."""

import itertools

import pytest
import torch

from attnbook import masks
from attnbook.widgets import Calculator
from tests.attnbook.widgets.javascript import copied, on_screen

QUERY = [[1, 0, 0, 2], [0, 1, 2, 0], [1, 2, 0, 0]]
KEY = [[2, 0, -1, 0], [2, 0, 1, 1], [0, 2, 1, 0]]
VALUE = [[1, 0], [5, 1], [2, 4]]
SCORES = ("dot", "scaled_dot", "cosine", "additive")
OPTIONS = {
    "temperature": 0.4,
    "W_q": [[0.5, -1, 0, 2], [1, 0, 0.25, -0.5]],
    "W_k": [[1, 1, 0, 0], [0, -2, 1, 0.5]],
    "v": [1.5, -0.75],
}
MASKS = {
    "open": [[True] * 3] * 3,
    "causal": masks.causal(3).tolist(),
    "a closed row": [[True] * 3, [False] * 3, [True] * 3],
}


def calculators():
    for score, mask in itertools.product(SCORES, MASKS):
        yield Calculator(QUERY, KEY, VALUE, score=score, mask=MASKS[mask], **OPTIONS)


@pytest.mark.parametrize("calculator", list(calculators()), ids=lambda calculator: calculator.score)
def test_the_page_computes_what_attnbook_computes(calculator):
    found = on_screen(calculator, "compute(model)")
    for stage in ("scores", "weights", "output"):
        expected = getattr(calculator, stage)
        torch.testing.assert_close(torch.tensor(found[stage], dtype=torch.float64), expected, rtol=1e-12, atol=1e-12)
    products = torch.tensor(QUERY) @ torch.tensor(KEY).T
    assert found["products"] == products.tolist()


@pytest.mark.parametrize("calculator", list(calculators()), ids=lambda calculator: calculator.score)
def test_the_copied_python_gives_the_numbers_on_the_screen(calculator):
    names = copied(calculator)
    torch.testing.assert_close(names["output"].detach(), calculator.output)
    torch.testing.assert_close(names["weights"].detach(), calculator.weights)


def test_the_first_example_by_hand():
    """exp(1), exp(2) and exp(0) over their sum; see chapter 3."""
    weights = torch.tensor([2.718281828, 7.389056099, 1.0]) / 11.107337927
    torch.testing.assert_close(Calculator(QUERY, KEY, VALUE).weights[0].float(), weights)


def test_what_chapter_3_asks():
    """Equal weights for the first query: the answer names two queries and the output."""
    for query in ([0, 0, 0, 0], [1, 1, 0, 0]):
        calculator = Calculator([query], KEY, VALUE)
        torch.testing.assert_close(calculator.weights, torch.full((1, 3), 1 / 3).double())
        assert [round(x, 3) for x in calculator.output[0].tolist()] == [2.667, 1.667]


def test_what_chapter_5_asks():
    """The printed weights need other queries, and their output is not the printed one."""
    example = {"key": [[4, 5, 6], [7, 8, 9]], "value": [[10, 11, 12], [13, 14, 15]]}
    calculator = Calculator([[0.2655, 0, 0]], **example)
    assert [round(w, 3) for w in calculator.weights[0].tolist()] == [0.387, 0.613]
    assert [round(x, 3) for x in calculator.output[0].tolist()] == [11.839, 12.839, 13.839]
    cosine = Calculator([[1, 2, 3]], **example, score="cosine", temperature=0.0331)
    assert round(cosine.weights[0, 0].item(), 3) == 0.613


def test_inputs_can_be_set_and_results_follow():
    calculator = Calculator(QUERY, KEY, VALUE)
    calculator.query = torch.zeros(3, 4).tolist()
    torch.testing.assert_close(calculator.weights, torch.full((3, 3), 1 / 3).double())


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"query": [[1, 2], [3]]}, ValueError, r"query must have rows of one length.*\[1, 2\]"),
        ({"query": [1, 2, 3, 4]}, TypeError, "query must be a list of rows of numbers"),
        ({"query": [[1, 2, 3]]}, ValueError, r"query must have rows of 4 entries; got \[3\]"),
        ({"key": [[float("nan")] * 4] * 3}, ValueError, "key must hold finite numbers; got nan"),
        ({"key": [["a"] * 4] * 3}, TypeError, "key.*'a'|key.*str"),
        ({"value": [[1, 0], [5, 1]]}, ValueError, "value must have 3 rows; got 2"),
        ({"mask": [[True] * 3]}, ValueError, "mask must have 3 rows; got 1"),
        ({"score": "general"}, ValueError, "score must be one of dot, scaled_dot, cosine, additive; got 'general'"),
        ({"temperature": 0.0}, ValueError, r"temperature must be positive; got 0\.0"),
        ({"printed": {"shares": []}}, ValueError, "printed must be one of products.*got 'shares'"),
        ({"query_names": ["a"]}, ValueError, "query_names must have 3 rows; got 1"),
        ({"mask": 3}, TypeError, "'mask' trait .* expected a list, not the int 3"),
        ({"v": [1.0]}, ValueError, "W_q must have 1 rows; got 4"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Calculator(**({"query": QUERY, "key": KEY, "value": VALUE} | change))


def test_a_wrong_type_is_named_when_set():
    calculator = Calculator(QUERY, KEY, VALUE)
    with pytest.raises(TypeError, match=r"'score' trait .* expected a unicode string, not the int 3"):
        calculator.score = 3


def test_sizes_stay():
    calculator = Calculator(QUERY, KEY, VALUE)
    with pytest.raises(ValueError, match=r"key must keep its 3 rows of 4; got rows of \[4, 4\]"):
        calculator.key = KEY[:2]
    assert calculator.key == [[float(x) for x in row] for row in KEY]
