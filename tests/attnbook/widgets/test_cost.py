"""The cost explorer: counts in both languages, the timed table, errors, copied code."""

import itertools
import json
import math

import pytest

from attnbook import costs
from attnbook.widgets import Cost
from attnbook.widgets.cost import MEASURED
from tests.attnbook.widgets.javascript import copied, evaluate, on_screen

STATES = [
    dict(zip("ndhw", sizes, strict=True))
    for sizes in itertools.product((64, 512, 65536), (64, 4096), (1, 64), (16, 4096))
]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_the_page_counts_what_attnbook_counts(state):
    cost = Cost(**state)
    found = on_screen(cost, "look(model)")
    for row in found["rows"]:
        assert row["operations"] == costs.operations(row["form"], **state)
        assert row["memory"] == costs.memory(row["form"], **state)
        assert (row["total"], row["kept"]) == (cost.operations[row["form"]], cost.memory[row["form"]])
    assert [row["form"] for row in found["rows"]] == list(costs.FORMS)
    assert (found["cheapest"], found["fastest"]) == (cost.cheapest, cost.fastest)


def test_the_copied_python_counts_the_same():
    cost = Cost(n=2048, h=8)
    names = copied(cost)
    assert {form: sum(parts.values()) for form, parts in names["operations"].items()} == cost.operations
    assert {form: sum(parts.values()) for form, parts in names["memory"].items()} == cost.memory


def test_between_measured_lengths_the_ratio_is_on_a_straight_line_of_logarithms():
    table = {"lengths": [256, 1024, 4096], "ratios": [4.0, 1.0, None]}
    found = evaluate(
        "cost_model.js", "[128, 256, 512, 300, 1024, 2048, 8192].map((n) => measuredRatio(lengths, ratios, n))", **table
    )
    by_hand = math.exp(math.log(4) * (1 - math.log(300 / 256) / math.log(4)))
    expected = [None, 4.0, 2.0, by_hand, 1.0, None, None]
    for ratio, right in zip(found, expected, strict=True):
        assert ratio == (right if right is None else pytest.approx(right, rel=1e-12))


def test_the_table_is_complete_and_says_how_it_was_made():
    table = json.loads(MEASURED.read_text())
    assert set(table["ratios"]) == {"full", "window", "window as a mask", "linear", "recurrent"}
    assert all(len(ratios) == len(table["lengths"]) for ratios in table["ratios"].values())
    assert all(ratio is None or ratio > 0 for ratios in table["ratios"].values() for ratio in ratios)
    assert {"d", "h", "w", "threads", "dtype", "torch"} == set(table["settings"])


def test_what_chapter_8_says():
    table = Cost().measured
    at = dict(zip(table["lengths"], range(len(table["lengths"])), strict=True))
    assert 1.05 < table["ratios"]["window"][at[256]] < 1.5
    assert table["ratios"]["window"][at[8192]] < 0.1
    small = Cost(n=256)
    assert (small.operations["full"] - small.operations["window"]) // 10**6 == 16
    assert small.operations["full"] // 10**6 == 100
    for d in (256, 1024):
        parts = costs.operations("full", n=2 * d, d=d)
        assert parts["projections"] == parts["attention"]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 100}, ValueError, "n must be a power of two from 64 to 65536; got 100"),
        ({"h": 128}, ValueError, "h must be a power of two from 1 to 64; got 128"),
        ({"d": 2.5}, TypeError, "'d' trait .* expected an int"),
    ],
)
def test_bad_input_is_named(change, error, says, own_errors):
    with pytest.raises(error, match=says):
        Cost(**change)
