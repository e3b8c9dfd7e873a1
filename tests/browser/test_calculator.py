"""The calculator in the built page, moved as a reader moves it, beside attnbook's numbers."""

import pytest
import torch
from playwright.sync_api import expect

from attnbook.widgets import Calculator
from tests.browser.conftest import everywhere, numbers

PAGE, FIGURE = "chapters/03-scaled-dot-product.html", "fig-03-calculator"
TRAITS = ("query", "key", "value", "score", "temperature", "mask", "W_q", "W_k", "v")


@pytest.fixture
def calculator(explorer):
    return explorer(PAGE, FIGURE)


def agrees(placed):
    """What the page shows equals what attnbook computes from the same inputs, to the digits shown."""
    twin = Calculator(**{trait: placed.get(trait) for trait in TRAITS})
    for label, expected, digits in (
        ("Scores", twin.scores, 3),
        ("Weights", twin.weights, 4),
        ("Output", twin.output, 3),
    ):
        shown = numbers(placed.grid(label))
        torch.testing.assert_close(shown, expected.detach(), rtol=0.05 * 10**-digits, atol=0.50001 * 10**-digits)
    return twin


def cell(placed, label):
    return placed.box.get_by_label(label, exact=True)


def test_it_stands_in_the_picture_s_place(calculator):
    expect(calculator.figure.locator("img")).to_have_count(0)
    expect(calculator.figure.locator("figcaption")).to_contain_text("The calculator.")
    agrees(calculator)


@everywhere
def test_a_number_is_typed(calculator):
    before = calculator.grid("Output")
    cell(calculator, "cats, component 1").nth(0).fill("−2.5")
    assert calculator.get("query")[0][0] == -2.5
    assert calculator.grid("Output") != before
    agrees(calculator)


@pytest.mark.parametrize("score", ["dot", "scaled_dot", "cosine", "additive"])
def test_scores(calculator, score):
    calculator.box.get_by_label("Score", exact=True).select_option(score)
    if score == "cosine":
        calculator.box.get_by_label("Temperature").press("ArrowLeft")
        assert calculator.get("temperature") == pytest.approx(10**-0.05)
    assert agrees(calculator).score == score


@everywhere
def test_a_pair_is_closed_by_keyboard(calculator):
    first = calculator.box.locator('table[aria-label="Mask"] td.attn-fill').first
    first.focus()
    first.press("ArrowRight")
    calculator.page.keyboard.press("Space")
    assert calculator.get("mask")[0] == [True, False, True]
    assert calculator.grid("Weights")[0][1] == "0.0000"
    agrees(calculator)
    expect(calculator.box.locator(".attn-reading")).to_contain_text("closed")


def test_a_row_without_an_open_pair(calculator):
    calculator.set(mask=[[False] * 3] + [[True] * 3] * 2)
    assert calculator.grid("Weights")[0] == ["0.0000"] * 3
    agrees(calculator)


def test_a_number_tells_where_it_comes_from(calculator):
    calculator.box.locator('table[aria-label="Scores"] td.attn-fill').nth(1).hover()
    expect(calculator.box.locator(".attn-reading")).to_have_text(
        "Score of cats and key of drink: 4.0000 / √4 = 2.0000."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("many", "not a number"),
        ("Infinity", "infinite"),
        ("-∞", "infinite"),
        ("1e99", "larger than a million"),
    ],
)
def test_a_bad_cell_says_so_and_the_last_good_result_stays(calculator, text, problem):
    before = calculator.grid("Output")
    field = cell(calculator, "cats, component 1").nth(0)
    field.fill(text)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(calculator.box.locator(".attn-problem").first).to_have_text(f"{problem}: 1 stays")
    assert calculator.grid("Output") == before
    field.press("Tab")
    expect(field).to_have_value("1")
    expect(field).to_have_attribute("aria-invalid", "false")


def test_the_result_is_announced(calculator):
    cell(calculator, "cats, component 1").nth(0).fill("0")
    expect(calculator.figure.locator('[role="status"]')).to_contain_text("Output: cats")


def test_python_is_copied(calculator):
    cell(calculator, "cats, component 1").nth(0).fill("0.5")
    calculator.box.get_by_role("button", name="Copy as Python").click()
    code = calculator.box.locator("pre code").inner_text()
    names = {}
    exec(code, names)
    twin = agrees(calculator)
    torch.testing.assert_close(names["output"], twin.output)


def test_the_documents_example(explorer):
    placed = explorer("chapters/05-scores.html", "fig-05-calculator")
    twin = agrees(placed)
    assert twin.scores[0].tolist() == pytest.approx([32 / 3**0.5, 50 / 3**0.5])
    for label, printed in (("Weights", ["0.387", "0.613"]), ("Output", ["12.74", "13.51", "14.28"])):
        notes = placed.box.locator(f'table[aria-label="{label}"] .attn-note').all_inner_texts()
        assert notes == [f"printed: {number}" for number in printed]
