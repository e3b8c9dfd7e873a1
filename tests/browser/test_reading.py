"""Reading a page with the keys alone, twice as large, with more space, without motion, on paper, far from a server."""

import sys
import zipfile
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import HTML
from tests.browser.test_pages import show_all

sys.path.append(str(HTML.parents[1] / "site" / "scripts"))
import offline

CHAPTER = "chapters/03-scaled-dot-product.html"  # an explorer, exercises, formulas, folded text
SHIFTING = ["intro.html", "chapters/08-many-heads.html", "chapters/11-sequences-to-sequences.html"]
# Numbers on elements say where the keys have been.
NUMBER = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
  .filter((node) => node.tabIndex >= 0 && !node.disabled)
  .filter((node) => node.checkVisibility({ visibilityProperty: true }))
  .map((node, number) => { node.dataset.stop = number; return node.outerHTML.slice(0, 120); })"""
FOCUS = """() => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const ring = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  return { body: node === document.body, stop: node.dataset.stop, seen: ring, what: node.outerHTML.slice(0, 120) };
}"""
SHIFT = """() => new Promise((done) => {
  let sum = 0;
  const add = (list) => list.getEntries().forEach((entry) => { sum += entry.value; });
  new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 300);
})"""
SPACED = """* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
p { margin-bottom: 2em !important; }"""
CUT = """() => [...document.querySelectorAll('.bd-article *')].filter((node) => {
  const { overflowX, overflowY } = getComputedStyle(node);
  const cut = (overflow, all, shown) => ['hidden', 'clip'].includes(overflow) && all > shown + 3;
  return node.clientWidth > 1 && node.textContent.trim()
    && (cut(overflowX, node.scrollWidth, node.clientWidth) || cut(overflowY, node.scrollHeight, node.clientHeight));
}).map((node) => node.outerHTML.slice(0, 150))"""


def test_the_keys_reach_every_control_in_order_and_show_where_they_are(open_page):
    page = open_page(CHAPTER)
    expect(page.locator(".attn")).to_have_count(1)
    show_all(page)
    stops = page.evaluate(NUMBER)
    assert len(stops) > 100
    reached, unseen = [], []
    for _ in range(len(stops) + 50):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus["body"] or (reached and focus["stop"] == reached[0]):
            break
        unseen += [] if focus["seen"] else [focus["what"]]
        if focus["stop"] is not None:
            reached.append(focus["stop"])
    else:
        pytest.fail(f"the keys are trapped at {focus['what']}")
    numbers = [int(stop) for stop in reached]
    assert numbers == sorted(numbers), "the order of the keys is not the order of the page"
    assert [stops[number] for number in range(len(stops)) if number not in numbers] == []
    assert not unseen, f"no sign of the focus: {unseen}"


@pytest.mark.parametrize("name", [CHAPTER, "appendix/ledger.html", "search.html"])
def test_twice_as_large_and_with_space_nothing_is_cut(open_page, name):
    # 1,280 pixels at 200% are 640.
    page = open_page(name, width=640)
    show_all(page)
    page.add_style_tag(content=SPACED)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    assert page.evaluate(CUT) == []


def test_who_wants_no_motion_gets_none(open_page):
    page = open_page(CHAPTER, reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].map((node) => [node, getComputedStyle(node)]).filter(([, style]) =>"
        " style.transitionDuration.split(', ').some((time) => parseFloat(time) > 0) || style.animationName !== 'none'"
        " || style.scrollBehavior === 'smooth').map(([node]) => node.outerHTML.slice(0, 100))"
    )
    assert moving == []


@pytest.mark.parametrize("name", SHIFTING)
def test_a_page_does_not_shift_while_it_loads(browser, server, name):
    context = browser.new_context(viewport={"width": 412, "height": 823})
    page = context.new_page()
    page.goto(f"{server}/{name}", wait_until="networkidle")
    shift = page.evaluate(SHIFT)
    context.close()
    assert shift < 0.05, "0.1 counts as good"


def test_on_paper_a_page_is_white_whole_and_without_buttons(open_page):
    page = open_page(CHAPTER, dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    for gone in ("#pst-primary-sidebar", ".bd-sidebar-secondary", ".bd-header-article", ".copybtn", ".toggle-button"):
        for part in page.locator(gone).all():
            expect(part).to_be_hidden()
    for solution in page.locator("div.solution").all():
        assert solution.bounding_box()["height"] > 60, "a solution stands open"
    for hint in page.locator("details.sd-dropdown .sd-card-body").all():
        assert hint.bounding_box()["height"] > 20, "a hint stands open"
    expect(page.locator(".explorer-address a").first).to_be_visible()
    clipped = page.locator(".bd-article pre").evaluate_all(
        "nodes => nodes.filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.textContent)"
    )
    assert clipped == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_page_that_is_not_there_is_answered_at_any_depth(browser):
    """Under the published address, where whatever is not there is answered with 404.html."""
    root = "http://book.test/attnbook/"

    def answer(route):
        name = urlsplit(route.request.url).path.removeprefix("/attnbook/")
        found = HTML / name
        missing = not found.is_file()
        route.fulfill(path=HTML / "404.html" if missing else found, status=404 if missing else 200)

    page = browser.new_page()
    page.route("**/*", answer)
    missing = []
    page.on("response", lambda response: response.status == 404 and missing.append(response.url))
    page.goto(f"{root}chapters/old/name.html", wait_until="load")
    expect(page.locator("#missing h1")).to_contain_text("No page here")
    assert page.locator(".bd-article a").first.evaluate("node => getComputedStyle(node).color") != "rgb(0, 0, 238)"
    assert missing == [f"{root}chapters/old/name.html"]
    page.locator("#missing a").first.click()
    expect(page).to_have_url(f"{root}intro.html")
    page.close()


def test_the_packed_book_opens_from_a_folder(browser, tmp_path):
    offline.write(tmp_path / "book.zip")
    zipfile.ZipFile(tmp_path / "book.zip").extractall(tmp_path)
    faults = []
    page = browser.new_page()
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.goto((tmp_path / offline.NAME / "index.html").as_uri())
    expect(page).to_have_url((tmp_path / offline.NAME / "intro.html").as_uri())
    page.locator(".bd-sidebar-primary a", has_text="8. Many heads").click()
    expect(page.locator(".attn")).to_have_count(2)
    assert page.evaluate("document.fonts.load('16px Formulas', '√').then((found) => found.length)") == 1
    page.keyboard.press("Control+k")
    page.keyboard.type("rotary")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.click()
    expect(page.locator("h1").last).to_contain_text("Positions")
    page.close()
    assert not faults
