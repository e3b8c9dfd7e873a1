"""Set formulas when the book is built, as MathML, which browsers draw themselves: no script, no wait, no layout shift.

A browser needs a font made for mathematics to set them well. It comes out of the package ziamath (STIX Two Math, under
the SIL Open Font License), cut to the characters that the pages use.
"""

import re
import unicodedata
from html import escape, unescape
from importlib.metadata import files
from pathlib import Path

from docutils import nodes
from fontTools import subset
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

FONT = "ziamath/fonts/STIXTwoMath-Regular.ttf"
LICENSE = "STIX Two Math, copyright 2001-2021 The STIX Fonts Project Authors, SIL Open Font License 1.1\n"
STYLE = '@font-face{font-family:"Formulas";font-display:block;src:url(formulas.woff) format("woff")}\n'
ITALICS = range(0x1D434, 0x1D468), range(0x1D6E2, 0x1D71C)  # Latin and Greek
log = logging.getLogger(__name__)
converter = LatexToMathML(fancy_error=False)


def mathml(node, *, display):
    tex = re.sub(r"\\\\\[[\d.]+[a-z]+\]", r"\\\\", node.astext().strip())  # \\[4pt]: math-core would print the 4pt
    try:
        return converter.convert_with_local_state(tex, displaystyle=display)
    except LatexError as error:
        log.warning("formula %s: %s", node.astext(), error, location=node, type="formula")
        return f"<code>{escape(node.astext())}</code>"


def visit_inline(writer, node):
    writer.body.append(writer.starttag(node, "span", "", CLASS="math") + mathml(node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_block(writer, node):
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node["number"]:
        writer.body.append(f'<span class="eqno">({get_node_equation_number(writer, node)})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(mathml(node, display=True) + "</div>\n")
    raise nodes.SkipNode


def bind(app, pagename, templatename, context, doctree):
    """Keep a formula on one line with what stands right at it, such as a bracket or the end of the sentence."""
    if "</math></span>" in context.get("body", ""):
        body = re.sub(r"</math></span>([^\s<]+)", r"</math>\1</span>", context["body"])
        context["body"] = re.sub(r'([(\[“‘]+)(<span class="math">)', r"\2\1", body)


def drawn(formulas):
    """The characters in formulas, and those that browsers add: roots, and slanted letters for single ones, 𝑞 for q."""
    used = set(unescape(re.sub(r"<[^>]*>", "", formulas))) | {"√"}
    slanted = {chr(code) for block in ITALICS for code in block} | {"ℎ"}
    return used | {char for char in slanted if unicodedata.normalize("NFKC", char) in used}


def write_font(app, exception):
    """Cut the font to the characters in formulas, with the larger and stretched forms that the font has of them."""
    if exception is not None or app.builder.format != "html":
        return
    pages = "".join(page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html"))
    source = next(file for file in files("ziamath") if file.as_posix() == FONT).locate()
    options = subset.Options(layout_features=["ssty", "dtls", "flac", "kern"], notdef_outline=True)
    font = subset.load_font(source, options)
    cutter = subset.Subsetter(options)
    cutter.populate(text="".join(drawn("".join(re.findall(r"<math.*?</math>", pages, re.DOTALL)))))
    cutter.subset(font)
    font.flavor = "woff"
    folder = Path(app.outdir, "_static", "formulas")
    folder.mkdir(exist_ok=True)
    font.save(folder / "formulas.woff")
    (folder / "formulas.css").write_text(STYLE, encoding="utf-8")
    (folder / "LICENSE.txt").write_text(LICENSE, encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    app.add_css_file("formulas/formulas.css", priority=900)
    app.connect("html-page-context", bind)
    app.connect("build-finished", write_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
