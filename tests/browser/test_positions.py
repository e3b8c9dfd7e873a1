"""Positions in the built page: each kind, moved, beside attnbook's numbers."""

import pytest
from playwright.sync_api import expect

from attnbook.widgets import Positions
from attnbook.widgets.positions import FORMS
from tests.browser.conftest import everywhere

TRAITS = ("form", "query_position", "key_position", "size", "pair", "angle", "head")


@pytest.fixture
def positions(explorer):
    return explorer("chapters/09-positions.html", "fig-09-positions")


def agrees(placed):
    twin = Positions(**{name: placed.get(name) for name in TRAITS})
    value = f"{twin.value:.4f}".replace("-", "−")
    expect(placed.box.locator(".attn-reading")).to_contain_text(value)
    return twin


@everywhere
@pytest.mark.parametrize("form", FORMS)
def test_a_kind_moved(positions, form):
    positions.box.get_by_label("Kind").select_option(form)
    before = agrees(positions)
    positions.box.get_by_label("Position of the key").press("ArrowRight")
    after = agrees(positions)
    assert after.form == form and after.value != before.value
    positions.box.get_by_role("button", name="Both one on").click()
    moved = agrees(positions)
    assert moved.query_position == before.query_position + 1
    assert moved.value == pytest.approx(after.value, abs=1e-12)


def test_the_rotation(positions):
    positions.box.get_by_label("Angle of the key").press("End")
    positions.box.get_by_label("Pair shown").press("ArrowRight")
    twin = agrees(positions)
    assert (twin.angle, twin.pair) == (180, 1)
    # pair 1 of 8 turns by 10000^(-1/8) radians a position
    expect(positions.box.locator(".attn-positions-turning")).to_contain_text("Pair 1 turns by 18.12° a position")


def test_fewer_components_keep_the_pair_in_range(positions):
    positions.box.get_by_label("Pair shown").press("End")
    assert positions.get("pair") == 7
    positions.box.get_by_label("Components", exact=True).press("Home")
    assert (positions.get("size"), positions.get("pair")) == (2, 0)
    agrees(positions)
