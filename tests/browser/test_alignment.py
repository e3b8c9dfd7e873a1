"""The alignment explorers in the built page: a word typed, steps, play, and the forms side by side."""

import pytest
from playwright.sync_api import expect

from attnbook.widgets import Alignment, Alignments
from tests.browser.conftest import everywhere

PAGE = "chapters/11-sequences-to-sequences.html"
LABEL = "Weights: a row for each sound, a column for each letter"


@pytest.fixture
def alignment(explorer):
    return explorer(PAGE, "fig-11-word")


def agrees(placed):
    """The grid shows the weights that attnbook computes, as far as the step goes."""
    twin = Alignment(word=placed.get("word"))
    expected = [["" if w < 0.005 else f"{w:.2f}".removeprefix("0") for w in row] for row in twin.weights.tolist()]
    shown = placed.box.locator(f'table[aria-label="{LABEL}"] tr').evaluate_all(
        "rows => rows.slice(1).map(row => [...row.querySelectorAll('td.attn-fill')].map(cell => cell.textContent))"
    )
    step = min(placed.get("step"), len(expected))
    assert shown == expected[:step] + [[""] * len(row) for row in expected[step:]]
    sounds = placed.box.locator(".attn-alignment-sound").all_text_contents()
    assert sounds == [*twin.phonemes, "⏎"]
    expect(placed.box.locator(".attn-reading")).to_contain_text(f"Step {step} of {len(expected)}")
    return twin


@everywhere
def test_a_word_is_typed(alignment):
    assert agrees(alignment).word == "phone"
    field = alignment.box.get_by_label("Word", exact=True)
    field.fill("Knight")
    assert agrees(alignment).word == "knight"
    field.fill("abcdefghijklmnopqrst")
    agrees(alignment)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("a b", "“ ” is not a letter from a to z"),
        ("<img src=x onerror=alert(1)>", "“<” is not a letter"),
        ("a" * 21, "longer than 20 letters"),
    ],
)
def test_a_bad_word_says_so_and_the_last_good_one_stays(alignment, text, problem):
    field = alignment.box.get_by_label("Word", exact=True)
    field.fill(text)
    expect(alignment.box.locator(".attn-problem")).to_contain_text(problem)
    expect(field).to_have_attribute("aria-invalid", "true")
    assert agrees(alignment).word == "phone"
    field.press("Tab")
    expect(field).to_have_value("phone")
    expect(alignment.box.locator("img")).to_have_count(0)


def test_steps_and_play(alignment):
    step = alignment.box.get_by_label("Step", exact=True)
    step.press("Home")
    assert alignment.get("step") == 1
    agrees(alignment)
    step.press("ArrowRight")
    agrees(alignment)
    row = alignment.box.locator('table[aria-label="The model\'s best sounds for this step"] td.attn-fill')
    expect(row.first).to_contain_text("OW")
    alignment.box.get_by_role("button", name="Play").click()
    expect(alignment.box.get_by_role("button", name="Pause")).to_be_visible()
    expect(alignment.box.locator(".attn-reading")).to_contain_text("Step 2 of 4")
    alignment.box.get_by_role("button", name="Pause").click()
    expect(alignment.box.get_by_role("button", name="Play")).to_be_visible()


@everywhere
def test_the_forms_side_by_side(explorer):
    placed = explorer(PAGE, "fig-11-forms")
    placed.box.get_by_label("Input").select_option("4")
    step = placed.box.get_by_label("Step", exact=True)
    for _ in range(12):
        step.press("ArrowRight")
    twin = Alignments(item=placed.get("item"))
    answers = twin.items[4]["answers"]
    said = placed.box.locator(".attn-alignments-says").all_inner_texts()
    assert len(said) == len(answers) == 5
    for text, (form, weights), answer in zip(said, twin.weights.items(), answers, strict=True):
        best = weights[12].argmax()
        assert text.startswith(
            f"writes {answer['written'][12]}, reads {twin.items[4]['read'][best]} {weights[12].max():.2f}"
        )
        mark = "✓ right" if answer["right"] else "✗ wrong"
        expect(placed.box.locator(".attn-alignments-title", has_text=form)).to_contain_text(mark)
