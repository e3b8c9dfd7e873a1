"""The directive `concordance`: where each heading of the source documents is treated, from `appendix/concordance.yml`.

It writes the tables as Markdown and lets MyST read them, so that a place that is not there is a warning like any other
dead link, and the text of a link is the heading that it leads to.
"""

from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

PLACES = "appendix/concordance.yml"


class Concordance(SphinxDirective):
    """`:::{concordance}` has no argument and no content."""

    def run(self):
        path = Path(self.env.srcdir, PLACES)
        self.env.note_dependency(str(path))
        chapters = {name.split("/")[1][:2]: name for name in self.env.found_docs if name.startswith("chapters/")}
        result = []
        for letter, document in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            section = nodes.section("", ids=[f"concordance-{letter.lower()}"], names=[f"concordance-{letter.lower()}"])
            section += nodes.title("", f"Document {letter}: {document['title']}")
            lines = ["| Heading | In English | Treated in |", "| --- | --- | --- |"]
            for one in document["headings"]:
                places = ", ".join(link(chapters, place) for place in one["places"])
                original = chinese(one["heading"])
                lines.append(f"| {original} | {one['means']} | {places} |")
            self.state.nested_parse(StringList(lines, source=str(path)), self.content_offset, section)
            for table in section.findall(nodes.table):
                table["classes"].append("concordance")
            result.append(section)
        return result


def chinese(heading):
    """The heading, marked as Chinese for screen readers and fonts if it is."""
    return f'<span lang="zh-Hans">{heading}</span>' if any("\u4e00" <= c <= "\u9fff" for c in heading) else heading


def link(chapters, place):
    """Markdown for a place: chapter 5, and the section's own heading where there is one."""
    number, anchor = place.split("#")
    target = f"/{chapters.get(number, 'chapters/' + number)}.ipynb"
    return f"{int(number)}: [](<{target}#{anchor}>)" if anchor else f"[chapter {int(number)}](<{target}>)"


def setup(app):
    app.add_directive("concordance", Concordance)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
