"""Put the explorers into the pages: their scripts beside the pages, and their first state in the page.

A chapter's cell that ends with an explorer stores a picture and the explorer's state (attnbook.widgets.Explorer). The
picture becomes a figure like any other, with caption and alternative text. Where JavaScript runs, a loader
(site/assets/explorers.js) puts the explorer in the picture's place; without it the picture stays, with a sentence.
"""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import urljoin

MIME = "application/vnd.attnbook.explorer+json"
WITHOUT = (
    '<noscript><p class="explorer-off">This is the explorer\'s first state, as a picture. '
    "With JavaScript switched on you can change it here, in the page.</p></noscript>"
)


def sources(source_folder):
    """attnbook.widgets.sources, without attnbook: importing the package takes seconds."""
    path = Path(source_folder, "attnbook", "widgets", "sources.py")
    spec = spec_from_file_location("explorer_sources", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored_explorers(notebook):
    """(figure name, explorer, state) for each explorer in a notebook, in order."""
    for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            stored = output.get("data", {}).get(MIME)
            if stored:
                yield cell["metadata"]["mystnb"]["figure"]["name"], stored["explorer"], stored["state"]


def insert(app, pagename, templatename, context, doctree):
    """Give a page its explorers' states, and the scripts that they need."""
    notebook = Path(app.srcdir, f"{pagename}.ipynb")
    if doctree is None or not notebook.exists():
        return
    found = list(stored_explorers(notebook))
    for figure, explorer, state in found:
        values = {name: json.loads(text) for name, text in state.items()}
        for file in files(values):
            app.add_js_file(write_file(app, file), loading_method="defer")
        # "<" must not end the script early; inside JSON it can always be written as an escape.
        data = json.dumps(values, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        script = f'<script type="application/json" data-explorer="{explorer}" data-figure="{figure}">{data}</script>'
        page = urljoin(app.config.html_baseurl, f"{pagename}.html#{figure}")
        address = f'<p class="explorer-address">An explorer, which moves at <a href="{page}">{page}</a></p>'
        place = re.compile(rf'(<figure[^>]*\bid="{figure}"[^>]*>)')
        added = script + WITHOUT + address
        context["body"], count = place.subn(lambda match, added=added: match[1] + added, context["body"])
        if count != 1:
            raise ValueError(f"{pagename} has {count} figures named {figure} for the explorer {explorer}")
    if found:
        app.add_css_file("explorers/explorers.css")
        for explorer in sorted({explorer for _, explorer, _ in found}):
            app.add_js_file(f"explorers/{explorer}.js", loading_method="defer")
        app.add_js_file("explorers.js", loading_method="defer", priority=900)


def files(values):
    """The files of the package that stand for the value of a trait."""
    return [value["file"] for value in values.values() if isinstance(value, dict) and set(value) == {"file"}]


def write_file(app, file):
    """A file of the package as a script, which a page loads after its text; return the script's name.

    A script, because a page that is read without a server may load nothing else.
    """
    data = sources(app.srcdir).embedded({"file": file})["base64"]
    name = f"explorers/{Path(file).name}.js"
    Path(app.outdir, "_static", name).write_text(f'(globalThis.attnbookFiles ??= {{}})["{file}"] = "{data}";\n')
    return name


def write(app):
    """Each explorer as a classic script (modules do not load from a file), and one style sheet.

    Before the pages, so that Sphinx puts a checksum into their addresses and no browser keeps an old one.
    """
    if app.builder.format != "html":
        return
    own = sources(app.srcdir)
    folder = Path(app.outdir, "_static", "explorers")
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(own.FOLDER.glob("*.js")):
        text = own.module(path.name)
        if "\nexport default " in text:
            (folder / path.name).write_text(own.script(path.stem), encoding="utf-8")
    sheets = sorted(path.name for path in own.FOLDER.glob("*.css") if path.name != "explorer.css")
    (folder / "explorers.css").write_text(own.style(*sheets), encoding="utf-8")


def expect_states(app, config):
    """myst-nb warns of output that it does not know, such as an explorer's state, and shows the picture, as wanted."""
    config.suppress_warnings = [*config.suppress_warnings, "mystnb.unknown_mime_type"]


def setup(app):
    app.connect("config-inited", expect_states)
    app.connect("html-page-context", insert)
    app.connect("builder-inited", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
