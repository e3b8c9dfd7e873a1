"""The directive `ledger`: a table, for each source document, of its claims, the verdicts, the evidence and its place.

It reads `appendix/claims.yml` and the cells with `claim:ID` tags of the chapters in the book, so that the page cannot
say anything that no cell shows: a claim without such a cell, or evidence with a number that the cell did not print, is
a warning, and the build fails.
"""

import json
import re
from collections import Counter
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

CLAIMS = "appendix/claims.yml"
VERDICTS = ("holds", "conditional", "wrong", "omits")
PRINTED = re.compile(r"\{(.+?)\}")  # in `evidence`: what the claim's cell printed, word for word

logger = logging.getLogger(__name__)


def box_name(claim_id):
    """The label of a claim's box: claim-a4-4b for A4.4b."""
    return "claim-" + claim_id.lower().replace(".", "-")


def settled_claims(source, docnames):
    """What the cell of each claim printed, by the claim's id, from the notebooks of the given documents."""
    found = {}
    for docname in docnames:
        path = Path(source, docname + ".ipynb")
        if not path.exists():
            continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith("claim:"):
                    texts = ("".join(output.get("text", "")) for output in cell["outputs"])
                    found[tag.removeprefix("claim:")] = "".join(texts)
    return found


class Ledger(SphinxDirective):
    """`:::{ledger}` has no argument and no content."""

    def run(self):
        path = Path(self.env.srcdir, CLAIMS)
        self.env.note_dependency(str(path))
        ledger = yaml.safe_load(path.read_text(encoding="utf-8"))
        claims = ledger["claims"]
        self.check(claims, settled_claims(self.env.srcdir, sorted(self.env.found_docs)))
        verdicts = Counter(claim["verdict"] for claim in claims)
        parts = ", ".join(f"{verdict} {verdicts[verdict]}" for verdict in VERDICTS)
        count = nodes.Text(f"{len(claims)} claims, all settled: {parts}.")
        documents = ledger["documents"].items()
        return [
            nodes.paragraph("", count, classes=["ledger-count"]),
            *(self.document(letter, document, claims) for letter, document in documents),
        ]

    def check(self, claims, printed):
        """Warn of a claim that no cell settles, and of evidence that its cell did not print."""
        for claim in claims:
            name = claim["id"]
            if name not in printed:
                logger.warning("no cell has the tag claim:%s", name, location=self.get_location())
                continue
            missing = [text for text in PRINTED.findall(claim["evidence"]) if text not in printed[name]]
            for text in missing:
                logger.warning("the cell of claim %s does not print %r", name, text, location=self.get_location())

    def document(self, letter, document, claims):
        own = [claim for claim in claims if claim["id"].startswith(letter)]
        section = nodes.section("", ids=[f"ledger-{letter.lower()}"], names=[f"ledger-{letter.lower()}"])
        section += nodes.title("", f"Document {letter}: {document['title']}")
        table = nodes.table("", classes=["ledger", "colwidths-given"])
        group = nodes.tgroup("", cols=4)
        table += group
        group += [nodes.colspec(colwidth=width) for width in (15, 36, 35, 14)]
        group += nodes.thead("", row("Claim", "The document says", "Evidence", "Where"))
        rows = (
            row(
                [
                    nodes.inline("", claim["id"], classes=["claim-id"]),
                    nodes.Text(" "),
                    nodes.inline("", claim["verdict"], classes=["verdict", f"verdict-{claim['verdict']}"]),
                ],
                self.statement(claim, document),
                evidence(claim["evidence"]),
                self.place(claim),
            )
            for claim in own
        )
        group += nodes.tbody("", *rows)
        section += table
        return section

    def statement(self, claim, document):
        says, _ = self.state.inline_text(claim["says"], self.lineno)
        heading = document["sections"][claim["section"]]
        number = f"{claim['section']} " if claim["section"][0].isdigit() else ""
        where = nodes.inline("", f" ({number}{heading})", classes=["claim-section"])
        return [*says, where]

    def place(self, claim):
        link = addnodes.pending_xref(
            "", refdomain="std", reftype="ref", reftarget=box_name(claim["id"]), refexplicit=True, refwarn=True,
            refdoc=self.env.docname,
        )  # fmt: skip
        link += nodes.inline("", f"chapter {claim['chapter']}", classes=["std", "std-ref"])
        return link


def evidence(text):
    """The sentence, with what the cell printed set as code."""
    pieces = PRINTED.split(text)  # every other one was printed
    return [nodes.literal("", piece) if k % 2 else nodes.Text(piece) for k, piece in enumerate(pieces) if piece]


def row(*cells):
    """A table row with one entry for each cell: a string, a node, or a list of nodes."""
    result = nodes.row()
    for cell in cells:
        content = [nodes.Text(cell)] if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
        result += nodes.entry("", nodes.paragraph("", "", *content))
    return result


def outdated(app, env, added, changed, removed):
    """A ledger page is read anew whenever a chapter was added, changed or removed: its tags may have changed."""
    if not any(name.startswith("chapters/") for name in added | changed | removed):
        return []
    claims = Path(app.srcdir, CLAIMS)
    return [doc for doc, files in env.dependencies.items() if any(Path(app.srcdir, file) == claims for file in files)]


def setup(app):
    app.add_directive("ledger", Ledger)
    app.connect("env-get-outdated", outdated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
