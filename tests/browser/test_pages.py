"""What holds on every page in a browser: quiet, readable by everyone, narrow, light, there without JavaScript."""

import gzip
import re
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import HTML, everywhere

# index.html leads on to the first page at once; 404.html works under the published address only.
PAGES = sorted(
    str(path.relative_to(HTML))
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts and path not in (HTML / "index.html", HTML / "404.html")
)
EXPLORERS = [name for name in PAGES if "data-explorer=" in (HTML / name).read_text()]
LARGEST = 1_000_000  # bytes over the wire, gzipped


def show_all(page):
    """Lay out what is far from the reader's place too, and wait for the places that the keys reach."""
    page.add_style_tag(content=".bd-article * { content-visibility: visible !important; }")
    page.wait_for_selector("html[data-measured]", state="attached")


def test_there_are_pages_and_explorers():
    assert "intro.html" in PAGES and len(EXPLORERS) >= 7


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page, name):
    page = open_page(name)
    show_all(page)
    # In the dark theme the page is the same but for its colors.
    for theme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        # Colors that still change on their way to the other theme have any contrast.
        page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
        # preload: axe would fetch style sheets again, and look for those that they import in a wrong place.
        results = Axe().run(page, options={"preload": False, **rules})
        assert results.violations_count == 0, f"{theme}: {results.generate_report()}"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_on_a_phone(open_page, name):
    page = open_page(name, width=360)
    show_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@everywhere
@pytest.mark.parametrize("name", EXPLORERS)
def test_every_explorer_takes_the_place_of_its_picture(open_page, name):
    page = open_page(name)
    stored = page.locator("script[data-explorer]")
    for figure in stored.evaluate_all("scripts => scripts.map(script => script.dataset.figure)"):
        expect(page.locator(f"#{figure} .attn")).to_have_count(1)
        expect(page.locator(f"#{figure} img")).to_have_count(0)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids)), "every kind of explorer has its own script, and ids are the page's"


@everywhere
@pytest.mark.parametrize("name", EXPLORERS)
def test_without_javascript_a_picture_and_a_sentence_stand_there(open_page, name):
    page = open_page(name, java_script_enabled=False)
    html = (HTML / name).read_text()
    figures = re.findall(r'data-figure="([^"]+)"', html)
    expect(page.locator(".explorer-off")).to_have_count(len(figures))
    for figure in figures:
        picture = page.locator(f"#{figure} img")
        picture.scroll_into_view_if_needed()
        expect(picture).to_be_visible()
        assert picture.bounding_box()["height"] > 50
        expect(page.locator(f"#{figure} .explorer-off")).to_be_visible()


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_page_with_explorers_is_light(browser, server, name):
    """All that a reader's first visit loads, gzipped as servers send it (fonts and rasters are packed already)."""
    context = browser.new_context()
    page = context.new_page()
    loaded = set()
    page.on("requestfinished", lambda request: loaded.add(request.url))
    page.goto(f"{server}/{name}", wait_until="networkidle")
    for picture in page.locator("img:visible").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    context.close()
    assert any(url.endswith(".css") or ".css?" in url for url in loaded)
    weight = sum(wire_size(HTML / unquote(urlsplit(url).path).lstrip("/")) for url in loaded)
    assert weight < LARGEST, f"{name} weighs {weight:,} bytes"


def wire_size(path):
    data = path.read_bytes()
    return len(data) if path.suffix in (".woff", ".woff2", ".png", ".jpg", ".ico") else len(gzip.compress(data))
