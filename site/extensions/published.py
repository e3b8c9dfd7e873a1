"""What a page needs out in the world: how it looks as a link elsewhere, a map for search engines, a page for errors.

All of it hangs on the address of the published book, `html: baseurl` in _config.yml.
"""

import re
from html import escape, unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

CARD = "social-card.png"
CARD_ALT = "The book's title, beside a grid of attention weights in which no query looks at a later key."
MISSING = """<section id="missing"><h1>No page here</h1>
<p>The book has no page at this address. It may have had one before a chapter was renamed.</p>
<ul>
<li><a href="intro.html">The book's first page</a>; the contents are at its side.</li>
<li><a href="search.html">Search the book</a></li>
<li><a href="appendix/ledger.html">The source ledger</a></li>
</ul></section>
"""
# What in a page leads on from it: not what leads elsewhere, within the page, or holds its own data.
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z+]+:|[#/])([^"]*)"')


def describe_link(app, pagename, templatename, context, doctree):
    """The tags from which other sites make a card of a link to a page."""
    base = app.config.html_baseurl
    described = re.search(r'name="description" content="([^"]*)"', context.get("metatags", ""))
    if doctree is None or not base:
        return
    # A title as text: without markup, and without the book's own title after it.
    title = unescape(re.sub(r"<[^>]+>", "", context.get("title", "")))
    if not described:
        described = [None, escape(f"{title} of the book {app.config.html_title}.")]
        context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{described[1]}" />'
    properties = {
        "og:title": title,
        "og:site_name": app.config.html_title,
        "og:description": unescape(described[1]),
        "og:type": "book" if pagename == app.config.root_doc else "article",
        "og:url": urljoin(base, f"{pagename}.html"),
        "og:image": urljoin(base, f"_static/{CARD}"),
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": CARD_ALT,
    }
    tags = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in properties.items()]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] += "\n" + "\n".join(tags)


def missing_page(app):
    yield (
        "404",
        {"title": "No page here", "body": MISSING, "metatags": '<meta name="robots" content="noindex" />'},
        "page.html",
    )


def write_map(app, exception):
    """sitemap.xml and robots.txt; and 404.html with links from the site's root: it stands in for pages at any depth."""
    base = app.config.html_baseurl
    if exception is not None or app.builder.format != "html" or not base:
        return
    pages = sorted(urljoin(base, f"{name}.html") for name in app.env.found_docs)
    places = "".join(f"<url><loc>{escape(page)}</loc></url>\n" for page in pages)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    Path(app.outdir, "sitemap.xml").write_text(f"{head}{places}</urlset>\n", encoding="utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {urljoin(base, 'sitemap.xml')}\n"
    Path(app.outdir, "robots.txt").write_text(robots, encoding="utf-8")
    page = Path(app.outdir, "404.html")
    root = urlsplit(base).path
    text = re.sub(r'\s*<link rel="canonical"[^>]*>', "", page.read_text(encoding="utf-8"))
    page.write_text(
        RELATIVE.sub(lambda match: f'{match[1]}="{root}{match[2].removeprefix("./")}"', text), encoding="utf-8"
    )


def setup(app):
    # After page_repairs has described the page, and after one_sheet has written its link.
    app.connect("html-page-context", describe_link, priority=950)
    app.connect("html-collect-pages", missing_page)
    app.connect("build-finished", write_map, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
