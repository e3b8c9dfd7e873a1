"""The built pages ask no other server, link to nothing that is not there, and tell what their pictures show."""

import base64
import gzip
import hashlib
import re
import unicodedata
from collections import Counter

import pytest
import yaml
from bs4 import BeautifulSoup
from crawl import anchors, is_outside, links, loaded_by_css, loaded_by_page, resolve
from fontTools.ttLib import TTFont

SLANTED = {unicodedata.normalize("NFKC", chr(code)): code for code in (*range(0x1D434, 0x1D468), 0x210E)}
CONTENT = ("intro", "chapters/", "appendix/")


def content_pages(pages):
    return {name: page for name, page in pages.items() if name.startswith(CONTENT)}


def shown_pages(pages):
    """All but index.html, which leads on to the first page at once."""
    return {name: page for name, page in pages.items() if name != "index.html"}


def test_every_page_of_the_contents_is_there(pages, root):
    contents = yaml.safe_load((root / "_toc.yml").read_text())
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    assert {f"{name}.html" for name in [contents["root"], *files]} <= set(pages)
    assert {f"chapters/{path.stem}" for path in (root / "chapters").glob("*.ipynb")} <= set(files)


def test_pages_load_nothing_from_another_server(pages):
    outside = {(name, url) for name, page in pages.items() for url in loaded_by_page(page) if is_outside(url)}
    assert not outside


def test_style_sheets_load_nothing_from_another_server(html):
    sheets = list(html.rglob("*.css"))
    assert sheets
    outside = {(sheet.name, url) for sheet in sheets for url in loaded_by_css(sheet.read_text()) if is_outside(url)}
    assert not outside


def test_what_pages_load_is_there(pages, html):
    missing = set()
    for name, page in pages.items():
        for url in loaded_by_page(page):
            if not url.startswith("data:"):
                path, _ = resolve(name, url)
                if not (html / path).is_file():
                    missing.add((name, url))
    assert not missing


def test_links_inside_the_book_lead_somewhere(pages, html):
    known = {name: anchors(page) for name, page in pages.items()}
    dead = set()
    for name, page in pages.items():
        for href in links(page):
            if is_outside(href) or href.startswith(("mailto:", "javascript:")) or href in ("#", ""):
                continue
            path, fragment = resolve(name, href)
            if path in known:
                if fragment and fragment not in known[path]:
                    dead.add((name, href))
            elif not (html / path).is_file():
                dead.add((name, href))
    assert not dead


def test_links_out_of_the_book_are_secure(pages):
    assert not {(name, href) for name, page in pages.items() for href in links(page) if href.startswith("http://")}


def test_pictures_have_alt_text(pages):
    without = {
        (name, image.get("src"))
        for name, page in pages.items()
        for image in page.find_all("img")
        if image.get("alt") is None
    }
    assert not without
    figures = [(name, image) for name, page in pages.items() for image in page.select("figure img")]
    assert not {
        (name, image["src"]) for name, image in figures if len(image["alt"]) < 20 or "/" in image["alt"].split()[0]
    }


def test_figures_are_numbered_by_chapter(pages):
    for name, page in pages.items():
        captions = [tag.get_text() for tag in page.select("figure figcaption .caption-number")]
        assert len(captions) == len(page.select("figure:has(img):not(.stored-figure)")), name
        if captions:
            chapter = int(re.search(r"/(\d+)-", name).group(1))
            assert captions == [f"Figure {chapter}.{number} " for number in range(1, len(captions) + 1)]


def test_ids_are_unique_on_a_page(pages):
    for name, page in pages.items():
        counts = Counter(tag["id"] for tag in page.find_all(id=True))
        assert not [value for value, count in counts.items() if count > 1], name


def test_no_error_is_left_in_a_page(pages):
    for name, page in pages.items():
        assert not page.select(".system-message, .problematic"), name


def test_pages_have_a_description_and_a_language(pages):
    for name, page in content_pages(pages).items():
        assert page.html["lang"] == "en"
        if name != "appendix/references.html":
            assert len(page.find("meta", attrs={"name": "description"})["content"]) > 30, name


def test_the_theme_s_faults_are_mended(pages):
    for name, page in content_pages(pages).items():
        inline = [
            tag.get_text().strip() for tag in page.find_all("script") if not tag.get("src") and tag.get_text().strip()
        ]
        assert len(inline) == len(set(inline)), f"{name}: an inline script stands twice"
        text = str(page)
        assert "thebe" not in text.lower(), name
        assert "require.js" not in text and "html-manager" not in text, name
        assert len(page.select(".search-button-field")) == 1, f"{name}: a stray search box"
        assert 'localStorage.getItem("mode") || "auto"' in text, f"{name}: no valid color mode to begin with"


def test_nothing_stops_a_page_from_showing(pages, html):
    """A browser waits for style sheets, and for scripts that are not deferred."""
    for name, page in shown_pages(pages).items():
        assert not [tag["src"] for tag in page.select("script[src]:not([defer])")], name
        sheets = [tag["href"] for tag in page.select('link[rel="stylesheet"]')]
        assert len(sheets) == 1, f"{name}: {sheets}"
        assert not page.select('link[rel="preload"]'), name
    weight = len(gzip.compress((html / "_static" / "book-all.css").read_bytes()))
    assert 10_000 < weight < 40_000, f"the style sheet weighs {weight:,} bytes on the wire"


def test_figures_keep_their_place_until_they_come(pages, html):
    for name, page in pages.items():
        figures = page.select("figure img")
        for number, image in enumerate(figures):
            width, height = int(image["width"]), int(image["height"])
            if not image["src"].startswith("data:"):
                box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', (html / resolve(name, image["src"])[0]).read_text())
                assert width / height == pytest.approx(float(box[1]) / float(box[2]), rel=0.02), (name, image["src"])
            assert (image.get("loading") == "lazy") == (number > 0), (name, image["src"])


def test_formulas_are_set_and_their_letters_are_in_the_font(pages, html):
    formulas = [formula for page in pages.values() for formula in page.select(".math")]
    assert len(formulas) > 1500 and all(formula.math for formula in formulas)
    assert "\\(" not in "".join(formula.get_text() for formula in formulas)
    font = set(TTFont(html / "_static" / "formulas" / "formulas.woff").getBestCmap())
    assert ord("√") in font, "no formula has this sign as text: a browser draws it for a root"
    for formula in formulas:
        # A browser slants a single letter in a formula by taking the one from Unicode's mathematical letters.
        single = [mi.get_text() for mi in formula.select("mi:not([mathvariant])") if len(mi.get_text()) == 1]
        assert {ord(char) for char in formula.math.get_text() if char.isprintable() and char != " "} - font <= {0x2061}
        assert {SLANTED.get(char, ord(char)) for char in single} <= font


def test_the_policy_lets_only_the_book_s_own_scripts_run(pages):
    for name, page in shown_pages(pages).items():
        policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
        assert "default-src 'none'" in policy and "://" not in policy, name
        scripts = policy.split("script-src ")[1].split(";")[0].split()
        for script in page.select("script:not([src]):not([type])"):
            hashed = base64.b64encode(hashlib.sha256(script.string.encode()).digest()).decode()
            assert f"'sha256-{hashed}'" in scripts, (name, script.string[:60])
        assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "data:"} & set(scripts), name
        attributes = {attribute for tag in page.find_all(True) for attribute in tag.attrs if attribute.startswith("on")}
        assert not attributes, f"{name}: code in attributes would not run"


def test_our_scripts_make_no_markup_out_of_text(root):
    scripts = list((root / "site" / "assets").glob("*.js"))
    assert len(scripts) >= 3
    for script in scripts:
        assert not re.search(r"innerHTML|outerHTML|AdjacentHTML|document\.write|\beval\(|srcdoc", script.read_text()), (
            script
        )


def test_every_icon_is_in_the_small_fonts(pages, html):
    fonts = [TTFont(path) for path in (html / "_static" / "icons").glob("*.woff")]
    assert len(fonts) == 2
    drawn = {code for font in fonts for code in font.getBestCmap()}
    sheet = (html / "_static" / "book-all.css").read_text()
    for name in {value for page in pages.values() for icon in page.select("i[class*=fa-]") for value in icon["class"]}:
        rule = re.search(rf"\.{re.escape(name)}:before[^{{]*\{{content:\"\\([0-9a-f]+)\"\}}", sheet)
        if rule:
            assert int(rule.group(1), 16) in drawn, name


@pytest.mark.parametrize(
    ("markup", "url"),
    [
        ('<script src="https://cdn.example/a.js"></script>', "https://cdn.example/a.js"),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', "//cdn.example/a.css"),
        ('<img srcset="a.png 1x, https://cdn.example/b.png 2x">', "https://cdn.example/b.png"),
        ('<p style="background: url(https://cdn.example/c.png)">', "https://cdn.example/c.png"),
        ("<style>@import 'https://cdn.example/d.css';</style>", "https://cdn.example/d.css"),
        ("<style>@media print { a { b: url('https://cdn.example/e') } }</style>", "https://cdn.example/e"),
        ("<script>import('https://cdn.example/f.js')</script>", "https://cdn.example/f.js"),
        ("<script type=module>import x from 'https://cdn.example/g.js'</script>", "https://cdn.example/g.js"),
        ("<script>fetch(`https://cdn.example/h`)</script>", "https://cdn.example/h"),
    ],
)
def test_the_crawl_sees_a_request(markup, url):
    assert url in [found for found in loaded_by_page(BeautifulSoup(markup, "lxml")) if is_outside(found)]
