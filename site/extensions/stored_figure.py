"""The directive `stored-figure`: a chapter's figure on another page, as it is stored in the chapter.

    :::{stored-figure} chapters/11-sequences-to-sequences fig-11-first
    The caption here.
    :::

The picture and its alternative text come from the notebook, so that the two pages cannot differ.
"""

import json
from html import escape
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class StoredFigure(SphinxDirective):
    """Arguments: the chapter's path without its ending, and the figure's name."""

    required_arguments = 2
    has_content = True

    def run(self):
        chapter, name = self.arguments
        path = Path(self.env.srcdir, chapter + ".ipynb")
        self.env.note_dependency(str(path))
        figure = nodes.figure(classes=["stored-figure"])
        figure += nodes.raw("", self.picture(path, name), format="html")
        # A legend and not a caption: the figure has its number in its own chapter.
        parsed, _ = self.parse_inline(" ".join(self.content))
        figure += nodes.legend("", nodes.paragraph("", "", *parsed))
        return [figure]

    def picture(self, path, name):
        """The stored SVG as an image that needs no file of its own."""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            settings = cell["metadata"].get("mystnb", {})
            if settings.get("figure", {}).get("name") != name:
                continue
            for output in cell["outputs"]:
                svg = "".join(output.get("data", {}).get("image/svg+xml", ""))
                if svg:
                    alt = escape(settings["image"]["alt"])
                    # As text and not as base64: it shrinks well on the wire.
                    return f'<img class="figure" alt="{alt}" src="data:image/svg+xml,{quote(svg)}">'
        raise self.error(f"{path.name} has no stored picture named {name}")


def setup(app):
    app.add_directive("stored-figure", StoredFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
