"""The built pages in a real browser: Debian's Chromium, driven by Playwright."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch
from playwright.sync_api import sync_playwright

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def chromium():
    """Where Chromium is: CHROMIUM, or the first name on the path."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(
            "the browser tests need Chromium: install it (Debian, Ubuntu: apt-get install chromium) "
            f"or set CHROMIUM to its path; looked for {', '.join(NAMES)}",
            pytrace=False,
        )
    return found


# One a file, and not one a session: while Playwright runs, its event loop would be in the way of the notebooks' tests.
@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def server():
    """The built pages, served as a web server does it."""
    assert (HTML / "index.html").is_file(), "the pages are not built: make book"
    handler = functools.partial(Quiet, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def address(request):
    """Where the pages are: on a server; for tests marked `everywhere`, as files on the disk too."""
    return HTML.as_uri() if getattr(request, "param", "http") == "file" else request.getfixturevalue("server")


everywhere = pytest.mark.parametrize("address", ["http", "file"], indirect=True)


@pytest.fixture
def open_page(browser, address):
    """open_page("chapters/03-….html", dark=False, width=1200): a page that may log no error and ask no other server."""
    contexts, faults = [], []

    def open_one(name, *, dark=False, width=1200, **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and faults.append(f"{said.text} ({said.location})"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        own = (address, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or faults.append(request.url))
        page.goto(f"{address}/{name}", wait_until="load")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not faults, f"errors on the console, or requests that leave the book: {faults}"


def numbers(rows):
    """Rows of texts on the screen as a tensor."""
    return torch.tensor([[float(text.replace("−", "-")) for text in row] for row in rows], dtype=torch.float64)


def drag(page, mark, across, down):
    """Take an SVG mark by its middle and move it by so many pixels."""
    box = mark.evaluate(
        "(node) => { const { x, y, width, height } = node.getBoundingClientRect(); return { x, y, width, height }; }"
    )
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across, y + down, steps=4)
    page.mouse.up()


class Placed:
    """An explorer in a page: its element (`box`), its traits (`get`, `set`)."""

    def __init__(self, page, figure):
        self.page = page
        self.figure = page.locator(f"#{figure}")
        self.box = self.figure.locator(".attn")
        self.box.wait_for()
        self.box.scroll_into_view_if_needed()

    def get(self, trait):
        return self.box.evaluate("(box, name) => box.parentElement.explorer.get(name)", trait)

    def set(self, **traits):
        """As another explorer or a kernel would."""
        self.box.evaluate(
            "(box, traits) => Object.entries(traits).forEach(([name, x]) => box.parentElement.explorer.set(name, x))",
            traits,
        )

    def grid(self, label):
        """The texts of a grid of results, by rows."""
        rows = self.box.locator(f'table[aria-label="{label}"] tr')
        return rows.evaluate_all(
            "rows => rows.map(row => [...row.querySelectorAll('td.attn-fill')]"
            ".map(cell => cell.firstChild.textContent)).filter(row => row.length)"
        )


@pytest.fixture
def explorer(open_page):
    """explorer("chapters/03-….html", "fig-03-calculator"): the page's explorer in that figure."""
    return lambda name, figure, **options: Placed(open_page(name, **options), figure)
