"""Small repairs to what the theme and its extensions put on a page: unused scripts, a missing description."""

from html import escape

from docutils import nodes

DESCRIPTION_LENGTH = 160


def is_unused(script):
    """True for the scripts of sphinx-thebe (live code through a public server), which Jupyter Book always adds."""
    body = (getattr(script, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "sphinx-thebe" in str(getattr(script, "filename", ""))


def repair_scripts(app, pagename, templatename, context, doctree):
    """Drop unused scripts and inline scripts that stand twice (declaring a name twice is an error in the browser)."""
    bodies, kept = set(), []
    for script in context.get("script_files", []):
        body = (getattr(script, "attributes", None) or {}).get("body")
        if is_unused(script) or (body and body in bodies):
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


def setup(app):
    app.connect("html-page-context", repair_scripts, priority=900)
    app.connect("html-page-context", describe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
