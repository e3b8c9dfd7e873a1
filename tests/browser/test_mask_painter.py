"""The mask painter in the built page: parts, layers, painting by mouse and keyboard, beside attnbook's masks."""

import pytest
from playwright.sync_api import expect

from attnbook.widgets import MaskPainter

LABEL = "Mask: a row for each query, a column for each key"
TRAITS = [
    "n",
    "layers",
    "causal",
    "padded",
    "parts",
    "half_width",
    "stride",
    "n_global",
    "block_size",
    "n_random",
    "seed",
    "painted",
]


@pytest.fixture
def painter(explorer):
    return explorer("chapters/04-masks.html", "fig-04-painter")


def agrees(placed):
    twin = MaskPainter(**{name: placed.get(name) for name in TRAITS})
    shown = placed.box.locator(f'table[aria-label="{LABEL}"] tr').evaluate_all(
        "rows => rows.slice(1).map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent))"
    )
    assert [[text == "1" for text in row] for row in shown] == twin.mask.tolist()
    seen = [[text != "" or i == j for j, text in enumerate(row)] for i, row in enumerate(shown)]
    assert seen == twin.reach.tolist()
    share = f"{twin.mask.sum()} of {twin.n**2} pairs are open: {100 * twin.share:.1f}%"
    expect(placed.box.locator(".attn-mask-summary")).to_contain_text(share)
    return twin


def cell(placed, i, j):
    return placed.box.locator(f'table[aria-label="{LABEL}"] tr').nth(i + 1).locator("td").nth(j)


def test_parts_cuts_and_layers(painter):
    assert agrees(painter).parts == ["window"]
    painter.box.get_by_label("Global", exact=True).check()
    painter.box.get_by_label("Random", exact=True).check()
    painter.box.get_by_label("Causal", exact=True).check()
    painter.box.get_by_label("Layers", exact=True).press("ArrowRight")
    painter.box.get_by_label("Window: to each side").press("ArrowRight")
    painter.box.get_by_label("Padding at the end").press("ArrowRight")
    twin = agrees(painter)
    assert (twin.parts, twin.layers, twin.half_width, twin.padded) == (["window", "global", "random"], 3, 2, 1)


def test_another_number_of_tokens(painter):
    painter.box.get_by_label("Tokens", exact=True).press("End")
    assert agrees(painter).n == 16


def test_painting_by_mouse(painter):
    first, last = cell(painter, 2, 6).bounding_box(), cell(painter, 2, 9).bounding_box()
    painter.page.mouse.move(first["x"] + 5, first["y"] + 5)
    painter.page.mouse.down()
    painter.page.mouse.move(last["x"] + 5, last["y"] + 5, steps=12)
    painter.page.mouse.up()
    twin = agrees(painter)
    assert twin.mask[2, 6:10].all() and len(twin.painted) == 4
    painter.box.get_by_role("button", name="Clear the painting").click()
    assert agrees(painter).painted == []


def test_painting_by_touch(explorer):
    painter = explorer("chapters/04-masks.html", "fig-04-painter", has_touch=True)
    box = cell(painter, 7, 2).bounding_box()
    painter.page.touchscreen.tap(box["x"] + 5, box["y"] + 5)
    assert agrees(painter).painted == [[7, 2, True]]


def test_painting_by_keyboard_until_a_query_sees_nothing(painter):
    for j in (4, 5, 6):
        cell(painter, 5, j).focus()
        painter.page.keyboard.press("Space")
    twin = agrees(painter)
    assert not twin.mask[5].any()
    expect(painter.box.locator(".attn-reading")).to_contain_text("Query 5 may attend to nothing")
    expect(painter.box.locator(".attn-mask-summary")).to_contain_text("1 query may attend to nothing")
