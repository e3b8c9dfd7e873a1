"""The search finds, and puts the chapter that treats a word first."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import everywhere

ASKED = {
    "softmax": "03-scaled-dot-product",
    "rotary": "09-positions",
    "key/value cache": "08-many-heads",
    "Bahdanau": "06-additive-and-multiplicative",
    "causal mask": "04-masks",
    "linear attention": "17-sparse-low-rank-linear",
}


@everywhere
@pytest.mark.parametrize("question", ASKED)
def test_the_chapter_of_a_word_is_found_first(open_page, question):
    page = open_page(f"search.html?{urlencode({'q': question})}")
    first = page.locator("#search-results ul.search li a").first
    expect(first).to_have_attribute("href", f"chapters/{ASKED[question]}.html")


def test_the_reader_searches_from_any_page_by_keys(open_page):
    page = open_page("chapters/09-positions.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("padding")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results ul.search li a").first).to_contain_text("4. Masks")
