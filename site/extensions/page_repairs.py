"""Small repairs to what the theme and its extensions put on a page: unused scripts, a missing description."""

import re
from html import escape
from pathlib import Path

from docutils import nodes

DESCRIPTION_LENGTH = 160
# What templates and other extensions write into the pages, and what is to stand there.
REPAIRS = [
    # Live code through a public server, not used.
    (r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', ""),
    (r"\s*<link[^>]*sphinx-thebe\.css[^>]*>", ""),
    # Icons come as small fonts: see icons.py.
    (r"\s*<!-- So that users can add custom icons -->", ""),
    (r"\s*<script[^>]*/fontawesome\.js[^>]*></script>", ""),
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


def repair_pages(app, exception):
    """Take out of the written pages what no event gives access to."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        repaired = text
        for pattern, replacement in REPAIRS:
            repaired = re.sub(pattern, replacement, repaired, flags=re.DOTALL)
        if repaired != text:
            page.write_text(repaired, encoding="utf-8")


def setup(app):
    app.connect("html-page-context", repair_scripts, priority=900)
    app.connect("html-page-context", describe, priority=900)
    app.connect("build-finished", repair_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
