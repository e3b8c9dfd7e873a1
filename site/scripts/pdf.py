"""Print the whole book into one PDF: the built pages in the order of the contents, set by Chromium.

python site/scripts/pdf.py        after `make book`; writes _build/attention-executed.pdf

All pages become one document, so that links between them work in the PDF too. It is printed twice: the first printing
tells on which page each chapter begins, the second has these numbers in its table of contents.
"""

import io
import os
import posixpath
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "attention-executed.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FOOTER = (
    '<div style="width: 100%; font: 8pt sans-serif; color: #52606d; text-align: center">'
    '<span class="pageNumber"></span></div>'
)


def contents():
    """(part, pages) in order; the first page belongs to no part."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield None, [toc["root"]]
    for part in toc["parts"]:
        yield part["caption"], [entry["file"] for entry in part["chapters"]]


def place(name, fragment=""):
    """The id that a page, or a place on it, has in the one document."""
    return name.replace("/", "-") + (f"--{fragment}" if fragment else "")


def article(name, names, base):
    """A page's text as part of the one document: its ids its own, its links leading on within the document."""
    soup = BeautifulSoup((HTML / f"{name}.html").read_text(encoding="utf-8"), "lxml")
    body = soup.select_one("article.bd-article")
    for tag in body.select("script, noscript, .headerlink, .explorer-off, button"):
        tag.decompose()
    for address in body.select(".explorer-address"):
        address.find_parent("figure").append(address)
    for tag in body.find_all(id=True):
        tag["id"] = place(name, tag["id"])
    for tag in body.select("details:not(.hide)"):
        tag["open"] = ""
    folder = posixpath.dirname(name)
    for image in body.find_all("img"):
        image.attrs.pop("loading", None)
        if not image["src"].startswith("data:"):
            image["src"] = posixpath.normpath(posixpath.join("html", folder, image["src"]))
    for link in body.find_all("a", href=True):
        target, fragment = urldefrag(link["href"])
        if urlsplit(target).scheme:
            continue
        page = posixpath.normpath(posixpath.join(folder, unquote(target))).removesuffix(".html") if target else name
        inside = page in names
        link["href"] = "#" + place(page, unquote(fragment)) if inside else urljoin(f"{base}{name}.html", link["href"])
    body.name = "section"
    body["id"], body["class"] = place(name), "bd-article page"
    return body, body.h1.get_text(" ", strip=True)


def document(numbers):
    """The one document as HTML; numbers says on which page of the PDF each page of the book begins."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    base = config["html"]["baseurl"]
    parts = list(contents())
    names = {name for _, pages in parts for name in pages}
    texts, lines = [], []
    for part, pages in parts:
        if part:
            lines.append(f'<li class="part">{part}</li>')
        for name in pages:
            text, title = article(name, names, base)
            texts.append(str(text))
            lines.append(f'<li><a href="#{place(name)}">{title}</a> <span>{numbers.get(name, "")}</span></li>')
    style = (Path(__file__).parent / "pdf.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{config["title"]}</title>
<link rel="stylesheet" href="html/_static/book-all.css"><style>{style}</style></head>
<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<header class="bd-article title-page"><p class="title">{config["title"]}</p>
<p>{config["author"]}</p><p>The pages on the web, with explorers that move: <a href="{base}">{base}</a></p>
<p>Code under the MIT License, prose and figures under CC BY 4.0.</p></header>
<nav class="bd-article toc-page"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>
{"".join(texts)}</div></div></main></body></html>"""


def printed(browser, numbers):
    """The document as the bytes of a PDF with an outline."""
    path = HTML.parent / "book.html"
    path.write_text(document(numbers), encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(0)
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("document.fonts.ready")
    data = page.pdf(
        prefer_css_page_size=True,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        outline=True,
        tagged=True,
    )
    page.close()
    path.unlink()
    return data


def beginnings(data):
    """On which page of the PDF each page of the book begins."""
    reader = PdfReader(io.BytesIO(data))
    headings = [entry for entry in reader.outline if not isinstance(entry, list)]
    names = ["contents", *(name for _, pages in contents() for name in pages)]
    assert len(headings) == len(names), "each page has one heading of the first rank, and so has the table of contents"
    return {
        name: reader.get_destination_page_number(heading) + 1 for name, heading in zip(names, headings, strict=True)
    }


def main():
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None or not (HTML / "index.html").exists():
        sys.exit("make pdf needs the built pages (make book), and Chromium or Chrome on the path or in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        numbers = beginnings(printed(browser, {}))
        data = printed(browser, numbers)
        browser.close()
    assert beginnings(data) == numbers, "the numbers in the contents have moved the pages"
    PDF.write_bytes(data)
    print(f"{PDF.relative_to(ROOT)}: {len(PdfReader(PDF).pages)} pages, {len(data) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
