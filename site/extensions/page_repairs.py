"""Small repairs to what the theme and its extensions put on a page: unused scripts, pictures without a size, labels."""

import re
from html import escape
from pathlib import Path
from urllib.parse import unquote

from docutils import nodes

DESCRIPTION_LENGTH = 160
THEME = (
    '["light", "dark"].find((theme) => theme === localStorage.getItem("mode"))'
    ' || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
)
# What templates and other extensions write into the pages, and what is to stand there.
REPAIRS = [
    # Live code through a public server, not used.
    (r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', ""),
    (r"\s*<link[^>]*sphinx-thebe\.css[^>]*>", ""),
    # Icons come as small fonts: see icons.py.
    (r"\s*<!-- So that users can add custom icons -->", ""),
    (r"\s*<script[^>]*/fontawesome\.js[^>]*></script>", ""),
    # One viewport is enough; an advertisement's place, without one.
    (r'\s*<meta name="viewport" content="width=device-width, initial-scale=1" ?/>', ""),
    (r'\s*<div id="ethical-ad-placement".*?</div>', ""),
    # The system's theme at once, and not when the scripts have come: that would draw a dark page light first.
    (r'dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto";', f"dataset.theme = {THEME};"),
    # Without scripts a page is light.
    (r'<html([^>]*) data-theme="auto"', r'<html\1 data-theme="light"'),
    # Scripts that are to wait need no head start.
    (r'\s*<!-- Pre-loaded scripts[^>]*-->(?:\s*<link rel="preload" as="script"[^>]*>)+', ""),
    # A content security policy allows no code in attributes: site/assets/buttons.js listens instead.
    (r'onclick="toggleFullScreen\(\)"', 'data-does="fullscreen"'),
    (r'onclick="window\.print\(\)"', 'data-does="print"'),
    # Names, punctuation and spaces in code have the color of all text: half of a page's elements would say so.
    (r'<span class="[npw]">([^<]*)</span>', r"\1"),
    # For screen readers: a label with all of the button's text, a name for the sidebar, no list without items.
    (r'(search-button-field[^>]* aria-label=")Search"', r'\1Search Ctrl+K"'),
    (r'(class="sidebar-primary-items__start[^"]*")>', r'\1 role="region" aria-label="Book navigation">'),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<input class="task-list-item-checkbox")', r'\1 aria-label="done"'),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    (r' role="doc-biblioentry"', ""),
    # sphinx-exercise gives the contents of all exercises one id, and so of all solutions.
    (r'<section id="(exercise|solution)-content">', r'<section class="\1-content">'),
]


def is_thebe(script):
    """True for the scripts of sphinx-thebe (live code through a public server), which Jupyter Book always adds."""
    body = (getattr(script, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "sphinx-thebe" in str(getattr(script, "filename", ""))


def repair_scripts(app, pagename, templatename, context, doctree):
    """Drop thebe's scripts and inline scripts that stand twice (declaring a name twice is an error in the browser)."""
    bodies, kept = set(), []
    for script in context.get("script_files", []):
        body = (getattr(script, "attributes", None) or {}).get("body")
        if is_thebe(script) or (body and body in bodies):
            continue
        if body:
            bodies.add(body)
        kept.append(script)
    context["script_files"][:] = kept


def describe(app, pagename, templatename, context, doctree):
    """Take a page's description for search engines from its first paragraph."""
    if doctree is None or 'name="description"' in context.get("metatags", ""):
        return
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) < 40:
            continue
        if len(text) > DESCRIPTION_LENGTH:
            text = text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"
        context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{escape(text)}" />'
        return


def lighten(text, page, options):
    """Scripts that do not stop the page from showing, and none that it does not use."""
    if page.name != "search.html":  # the others do not search within the page
        text = re.sub(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>', "", text)
    if "sd-tab-set" not in text:
        text = re.sub(r"\s*<script[^>]*/design-tabs\.js[^>]*></script>", "", text)
    # Scripts in the page, which do not wait, change these options. From a file, a search cannot fetch what it quotes.
    options = options.replace("SHOW_SEARCH_SUMMARY: true", 'SHOW_SEARCH_SUMMARY: location.protocol !== "file:"')
    text = re.sub(r'<script src="[^"]*documentation_options\.js[^"]*"></script>', f"<script>{options}</script>", text)
    return re.sub(r"<script (?=[^>]*\bsrc=)(?![^>]*\bdefer\b)", "<script defer ", text)


def size(address, page):
    """Width and height of an SVG picture in pixels, so that the page keeps its place; None for others."""
    if address.startswith("data:image/svg+xml,"):
        head = unquote(address[:4000])
    elif address.endswith(".svg"):
        head = (page.parent / unquote(address)).read_text(encoding="utf-8")
    else:
        return None
    match = re.search(r'<svg[^>]*\bwidth="([\d.]+)pt" height="([\d.]+)pt"', head)
    return match and [round(float(points) * 4 / 3) for points in match.groups()]


def size_pictures(text, page):
    """Each figure's picture with its size; from the second figure on it is loaded when the reader comes near it."""
    count = 0

    def sized(match):
        nonlocal count
        pixels = size(match["address"], page)
        if pixels is None:
            return match[0]
        count += 1
        lazy = 'loading="lazy" ' if count > 1 else ""
        return f'<img {lazy}width="{pixels[0]}" height="{pixels[1]}" {match[0].removeprefix("<img ")}'

    return re.sub(r'<img (?=[^>]*\bclass="[^"]*\bfigure\b)[^>]*\bsrc="(?P<address>[^"]*)"[^>]*>', sized, text)


def repair_theme(static):
    """Take out of the theme's script a measurement of the whole page that site/assets/buttons.js makes bit by bit."""
    script = static / "scripts" / "pydata-sphinx-theme.js"
    measured = r'"complete"===document\.readyState\?(\w+)\(\):window\.addEventListener\("load",\1\)'
    text, count = re.subn(measured, "0", script.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"the theme's script has changed: {count} measurements at its end, not 1")
    script.write_text(text, encoding="utf-8")


def repair_pages(app, exception):
    """Take out of the written pages what no event gives access to."""
    if exception is not None or app.builder.format != "html":
        return
    options = Path(app.outdir, "_static", "documentation_options.js").read_text(encoding="utf-8")
    repair_theme(Path(app.outdir, "_static"))
    for page in Path(app.outdir).rglob("*.html"):
        if "_static" in page.parts:
            continue
        text = page.read_text(encoding="utf-8")
        repaired = text
        for pattern, replacement in REPAIRS:
            repaired = re.sub(pattern, replacement, repaired, flags=re.DOTALL)
        repaired = size_pictures(lighten(repaired, page, options), page)
        if repaired != text:
            page.write_text(repaired, encoding="utf-8")


def setup(app):
    app.add_js_file("buttons.js", loading_method="defer")
    app.connect("html-page-context", repair_scripts, priority=900)
    app.connect("html-page-context", describe, priority=900)
    app.connect("build-finished", repair_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
