"""The mask painter in the built page: parts, layers, painting by mouse and keyboard, beside attnbook's masks."""

import pytest
from playwright.sync_api import expect

from attnbook.widgets import MaskPainter
from tests.browser.conftest import everywhere

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
        "rows => rows.slice(1).map(row => [...row.querySelectorAll('td.attn-fill')].map(cell => cell.textContent))"
    )
    assert [[text == "1" for text in row] for row in shown] == twin.mask.tolist()
    seen = [[text != "" or i == j for j, text in enumerate(row)] for i, row in enumerate(shown)]
    assert seen == twin.reach.tolist()
    counts = [f"{now} → {far}" for now, far in zip(twin.mask.sum(dim=1), twin.reach.sum(dim=1), strict=True)]
    assert placed.box.locator("td.attn-mask-count").all_text_contents() == counts
    share = f"{twin.mask.sum()} of {twin.n**2} pairs are open: {100 * twin.share:.1f}%"
    expect(placed.box.locator(".attn-mask-summary")).to_contain_text(share)
    return twin


def cell(placed, i, j):
    return placed.box.locator(f'table[aria-label="{LABEL}"] tr').nth(i + 1).locator("td.attn-fill").nth(j)


def center(placed, i, j):
    box = cell(placed, i, j).bounding_box()
    return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}


@everywhere
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


def test_another_random_draw(painter):
    painter.box.get_by_label("Random", exact=True).check()
    seed = painter.box.get_by_label("seed", exact=True)
    before = agrees(painter).mask
    seed.press("ArrowRight")
    twin = agrees(painter)
    assert twin.seed == 1 and not twin.mask.equal(before)
    painter.box.get_by_label("Random", exact=True).uncheck()
    expect(seed).to_be_hidden()


@everywhere
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


def test_a_fast_stroke_leaves_no_pair_out(painter):
    """The pointer is reported at the two ends only."""
    painter.page.mouse.move(*center(painter, 1, 5).values())
    painter.page.mouse.down()
    painter.page.mouse.move(*center(painter, 6, 10).values(), steps=1)
    painter.page.mouse.up()
    assert agrees(painter).mask[range(1, 7), range(5, 11)].all()
    # With the button up nothing is painted.
    painter.page.mouse.move(*center(painter, 10, 1).values())
    assert len(agrees(painter).painted) == 6


def test_painting_by_a_finger_that_moves(explorer):
    placed = explorer("chapters/04-masks.html", "fig-04-painter", width=360, has_touch=True, is_mobile=True)
    cell(placed, 2, 8).scroll_into_view_if_needed()
    touch = placed.page.context.new_cdp_session(placed.page)
    for kind, at in (("Start", 7), ("Move", 8), ("Move", 9), ("End", None)):
        points = [] if at is None else [center(placed, 2, at)]
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    assert agrees(placed).painted == [[2, 7, True], [2, 8, True], [2, 9, True]]
    assert placed.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_painting_by_keyboard_until_a_query_sees_nothing(painter):
    for j in (4, 5, 6):
        cell(painter, 5, j).focus()
        painter.page.keyboard.press("Space")
    twin = agrees(painter)
    assert not twin.mask[5].any()
    expect(painter.box.locator(".attn-reading")).to_contain_text("Query 5 may attend to nothing")
    expect(painter.box.locator(".attn-mask-blind")).to_have_text("50" + "0 → 1")  # row 5, its own input, its count
    expect(painter.box.locator(".attn-mask-painted:visible")).to_have_count(3 + 1)  # and one in the legend
    note = painter.box.locator(".attn-mask-blind-note")
    expect(note).to_have_text("Query 5 may attend to nothing: its weights are all 0.")
    painter.set(padded=6, parts=[])
    expect(note).to_be_hidden()
    painter.set(painted=[[i, j, False] for i in (0, 2, 3) for j in range(12)])
    expect(note).to_have_text("Queries 0, 2–3 may attend to nothing: their weights are all 0.")
    painter.set(layers=1)
    agrees(painter)
