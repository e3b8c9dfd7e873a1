"""The directive `ledger`: a table, for each source document, of its claims, the verdicts, and where each was settled.

It reads `appendix/claims.yml` and the `claim:ID` tags of the chapters in the book, so that the page cannot say anything
that no cell shows. A claim with a tag is linked to the box that states its verdict; the others are named open.
"""

import json
from collections import Counter
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

CLAIMS = "appendix/claims.yml"
VERDICTS = ("holds", "conditional", "wrong", "omits")


def box_name(claim_id):
    """The label of a claim's box: claim-a4-4b for A4.4b."""
    return "claim-" + claim_id.lower().replace(".", "-")


def settled_claims(source, docnames):
    """The claim ids in the tags of the given documents' notebooks, each with its document."""
    found = {}
    for docname in docnames:
        path = Path(source, docname + ".ipynb")
        if not path.exists():
            continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith("claim:"):
                    found[tag.removeprefix("claim:")] = docname
    return found


class Ledger(SphinxDirective):
    """`:::{ledger}` has no argument and no content."""

    def run(self):
        path = Path(self.env.srcdir, CLAIMS)
        self.env.note_dependency(str(path))
        ledger = yaml.safe_load(path.read_text(encoding="utf-8"))
        settled = settled_claims(self.env.srcdir, sorted(self.env.found_docs))
        claims = ledger["claims"]
        summary = nodes.paragraph("", self.count(claims, settled), classes=["ledger-count"])
        documents = ledger["documents"].items()
        return [summary, *(self.document(letter, document, claims, settled) for letter, document in documents)]

    def count(self, claims, settled):
        done = [claim for claim in claims if claim["id"] in settled]
        verdicts = Counter(claim["verdict"] for claim in done)
        parts = ", ".join(f"{verdict} {verdicts[verdict]}" for verdict in VERDICTS if verdicts[verdict])
        return nodes.Text(f"{len(done)} of {len(claims)} claims are settled so far" + (f": {parts}." if parts else "."))

    def document(self, letter, document, claims, settled):
        own = [claim for claim in claims if claim["id"].startswith(letter)]
        done = sum(claim["id"] in settled for claim in own)
        section = nodes.section("", ids=[f"ledger-{letter.lower()}"], names=[f"ledger-{letter.lower()}"])
        section += nodes.title("", f"Document {letter}: {document['title']}")
        section += nodes.paragraph("", f"{done} of {len(own)} settled.")
        table = nodes.table("", classes=["ledger"])
        group = nodes.tgroup("", cols=4)
        table += group
        group += [nodes.colspec(colwidth=width) for width in (8, 54, 16, 22)]
        group += nodes.thead("", row("Claim", "The document says", "Verdict", "Settled in"))
        rows = (
            row(
                nodes.inline("", claim["id"], classes=["claim-id"]),
                self.statement(claim, document),
                verdict(claim["verdict"], claim["id"] in settled),
                self.place(claim, settled),
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

    def place(self, claim, settled):
        if claim["id"] not in settled:
            return nodes.inline("", f"open (chapter {claim['chapter']})", classes=["claim-open"])
        link = addnodes.pending_xref(
            "", refdomain="std", reftype="ref", reftarget=box_name(claim["id"]), refexplicit=True, refwarn=True,
            refdoc=self.env.docname,
        )  # fmt: skip
        link += nodes.inline("", f"chapter {claim['chapter']}", classes=["std", "std-ref"])
        return link


def verdict(word, is_settled):
    """The verdict with its color and sign once it is settled; before that only the word, in gray."""
    return nodes.inline("", word, classes=["verdict", f"verdict-{word}"] if is_settled else ["claim-open"])


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
