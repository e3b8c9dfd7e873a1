"""The query in the plane in the built page, dragged and stepped, beside attnbook's numbers."""

import pytest
import torch
from playwright.sync_api import expect

from attnbook.widgets import Plane
from tests.browser.conftest import drag, everywhere, numbers

TRAITS = ("query", "key", "value", "score", "temperature")


@pytest.fixture
def plane(explorer):
    return explorer("chapters/02-query-key-value.html", "fig-02-plane")


def agrees(plane):
    twin = Plane(**{name: plane.get(name) for name in TRAITS})
    scores, weights = numbers(plane.grid("Scores and weights"))
    torch.testing.assert_close(scores, twin.scores, rtol=0, atol=0.0051)
    torch.testing.assert_close(weights, twin.weights, rtol=0.05, atol=0.00051)
    x, y = (f"{number:.2f}".replace("-", "−") for number in twin.output.tolist())
    expect(plane.box.locator(".attn-reading")).to_contain_text(f"Output ({x}, {y})".replace("−0.00", "0.00"))
    return twin


@everywhere
def test_a_drag(plane):
    agrees(plane)
    drag(plane.page, plane.box.get_by_label("query", exact=True).locator("circle"), -90, 60)
    twin = agrees(plane)
    # 300 units of the plane are 6 wide; a pixel is less than that on the screen.
    assert twin.query[0] < 0.5 and twin.query[1] < 1.0


def test_the_keyboard(plane):
    handle = plane.box.get_by_label("query", exact=True)
    handle.press("ArrowLeft")
    handle.press("Shift+ArrowDown")
    assert agrees(plane).query == [1.4, 1.0]
    expect(handle).to_have_attribute("aria-valuetext", "1.40, 1.00")
    plane.box.get_by_label("value of C").press("ArrowUp")
    assert agrees(plane).value[2] == [2.2, -0.8]


def test_areas_are_weights(plane):
    twin = agrees(plane)
    radii = plane.box.locator("circle.attn-plane-weight").evaluate_all("all => all.map(one => one.r.baseVal.value)")
    areas = torch.tensor(radii, dtype=torch.float64) ** 2
    torch.testing.assert_close(areas / areas.sum(), twin.weights, rtol=1e-5, atol=1e-6)
    sides = plane.box.locator("rect.attn-plane-weight").evaluate_all("all => all.map(one => one.width.baseVal.value)")
    squares = torch.tensor(sides, dtype=torch.float64) ** 2
    torch.testing.assert_close(squares, torch.pi * areas, rtol=1e-5, atol=1e-6)


def test_score_and_temperature(plane):
    plane.box.get_by_label("Score", exact=True).select_option("cosine")
    plane.box.get_by_label("Temperature").press("ArrowLeft")
    twin = agrees(plane)
    assert twin.score == "cosine" and twin.temperature < 1
