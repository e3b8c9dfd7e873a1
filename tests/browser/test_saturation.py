"""Saturation in the built page: size, scale and sample, beside attnbook's numbers."""

import pytest
import torch
from playwright.sync_api import expect

from attnbook.widgets import Saturation
from tests.browser.conftest import everywhere, numbers


@pytest.fixture
def saturation(explorer):
    return explorer("chapters/05-scores.html", "fig-05-saturation")


def agrees(placed):
    twin = Saturation(**{name: placed.get(name) for name in ("d_k", "scaled", "seed", "curves")})
    shown = numbers(placed.grid("Numbers"))
    for row, expected, digits in zip(
        shown, (twin.scores, twin.weights, twin.jacobian.diagonal()), (2, 3, 3), strict=True
    ):
        torch.testing.assert_close(row, expected, rtol=0.051, atol=0.51 * 10**-digits)
    expect(placed.box.locator(".attn-reading")).to_contain_text("gradient's size is")
    said = placed.box.locator(".attn-reading").inner_text().split("size is ")[1].split(":")[0]
    assert numbers([[said]]).item() == pytest.approx(twin.jacobian.norm().item(), rel=0.051, abs=5.1e-5)
    return twin


def test_the_first_state(saturation):
    agrees(saturation)


@everywhere
def test_size_scale_and_sample(saturation):
    size = saturation.box.get_by_label("Size of query and key", exact=True)
    for _ in range(4):
        size.press("ArrowRight")
    assert agrees(saturation).d_k == 1024
    alone = agrees(saturation).weights.max()
    saturation.box.get_by_label("Divide by the root of the size").press("Space")
    assert agrees(saturation).weights.max() < alone
    saturation.box.get_by_role("button", name="New random vectors").click()
    assert agrees(saturation).seed == 1
    expect(saturation.figure.locator('[role="status"]')).to_contain_text("Largest weight")


def test_a_number_tells_where_it_comes_from(saturation):
    saturation.box.locator('table[aria-label="Numbers"] td.attn-fill').nth(8).hover()
    expect(saturation.box.locator(".attn-reading")).to_contain_text("Weight of key 1: exp(")
