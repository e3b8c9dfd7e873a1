"""The heads explorer in the built page: heads, tokens and directions, beside the weights that the page holds."""

import base64
import json

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import everywhere

LABEL = "Weights of the chosen head: a row for each token that reads"


@pytest.fixture
def heads(explorer):
    return explorer("chapters/08-many-heads.html", "fig-08-heads")


def held(placed):
    """The weights of the page, decoded here."""
    state = json.loads(placed.figure.locator("script[data-explorer]").inner_text())
    return np.frombuffer(base64.b64decode(state["data"]["base64"]), "<u2").reshape(state["shape"]) / 65535


def agrees(placed):
    layer, head, token, reads = (placed.get(name) for name in ("layer", "head", "token", "reads"))
    chosen = held(placed)[layer, head]
    expected = [["" if w < 0.005 else f"{w:.2f}".removeprefix("0") for w in row] for row in chosen]
    shown = placed.box.locator(f'table[aria-label="{LABEL}"] tr').evaluate_all(
        "rows => rows.slice(1).map(row => [...row.querySelectorAll('td.attn-fill')].map(cell => cell.textContent))"
    )
    assert shown == expected
    row = chosen[token] if reads else chosen[:, token]
    expect(placed.box.locator(".attn-reading")).to_contain_text(f"(place {row.argmax()}) {row.max():.2f}")
    widths = placed.box.locator(".attn-heads-link").evaluate_all(
        "all => all.map(one => +one.getAttribute('stroke-width'))"
    )
    np.testing.assert_allclose(np.array(widths) / 14, row, atol=1e-12)
    return layer, head, token, reads


@everywhere
def test_a_head_is_chosen_by_mouse_and_by_keyboard(heads):
    assert agrees(heads) == (1, 2, 1, True)
    heads.box.get_by_role("button", name="layer 1, head 4").click()
    assert agrees(heads)[:2] == (0, 3)
    heads.page.keyboard.press("ArrowDown")
    heads.page.keyboard.press("ArrowLeft")
    assert agrees(heads)[:2] == (1, 2)
    expect(heads.box.get_by_role("button", name="layer 2, head 3")).to_be_focused()
    expect(heads.box.locator('[aria-pressed="true"]')).to_have_count(1)


def test_a_token_and_its_readers(heads):
    heads.box.locator(f'table[aria-label="{LABEL}"] tr').nth(5).locator("td").first.hover()
    assert agrees(heads)[2] == 4
    heads.box.get_by_label("What the token reads").uncheck()
    assert agrees(heads)[3] is False
    heads.box.locator("text.attn-heads-query").nth(7).hover()
    assert agrees(heads)[2:] == (7, True)


def test_the_small_maps_show_the_weights(heads):
    """A pixel's opacity is the root of its weight."""
    alphas = (
        heads.box.locator("canvas")
        .nth(6)
        .evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
            ".filter((_, k) => k % 4 === 3)"
        )
    )
    np.testing.assert_allclose(np.array(alphas) / 255, np.sqrt(held(heads)[1, 2].ravel()), atol=0.003)
