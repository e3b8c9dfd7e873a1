"""The cost explorer in the built page: sizes moved, beside attnbook's counts."""

import pytest
from playwright.sync_api import expect

from attnbook import costs
from attnbook.widgets import Cost
from tests.browser.conftest import everywhere


@pytest.fixture
def cost(explorer):
    return explorer("chapters/08-many-heads.html", "fig-08-cost")


def number(text):
    digits, _, unit = text.removesuffix(" ★").removesuffix("B").strip().partition(" ")
    return float(digits) * 1000 ** ["", "k", "M", "G", "T", "P"].index(unit)


def agrees(placed):
    twin = Cost(**{name: placed.get(name) for name in "ndhw"})
    rows = placed.grid("Counted costs")
    for form, row in zip(costs.FORMS, rows, strict=True):
        parts = costs.operations(form, n=twin.n, d=twin.d, h=twin.h, w=twin.w)
        expected = [parts["projections"], parts["attention"], twin.operations[form], 4 * twin.memory[form]]
        assert [number(text) for text in row] == pytest.approx(expected, rel=0.006)
        assert ("★" in row[2]) == (form == twin.cheapest)
    return twin


@everywhere
def test_sizes(cost):
    assert agrees(cost).n == 1024
    cost.box.get_by_label("Length n").press("ArrowLeft")
    cost.box.get_by_label("Heads h").press("ArrowRight")
    cost.box.get_by_label("Window w").press("End")
    cost.box.get_by_label("Width d").press("ArrowRight")
    twin = agrees(cost)
    assert (twin.n, twin.d, twin.h, twin.w) == (512, 512, 8, 4096)


def test_more_heads_than_components_cannot_be_set(cost):
    cost.box.get_by_label("Heads h").press("End")
    cost.box.get_by_label("Width d").press("Home")
    twin = agrees(cost)
    assert (twin.d, twin.h) == (64, 64)


def test_the_timed_table_is_not_stretched(cost):
    expect(cost.box.locator(".attn-reading")).to_contain_text("the fastest at this length was")
    cost.box.get_by_label("Length n").press("End")
    assert agrees(cost).fastest is None
    expect(cost.box.locator(".attn-reading")).to_contain_text("No form was timed at 65,536 tokens.")
