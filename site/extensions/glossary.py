"""The directive `term-list`: the terms of `appendix/terms.yml`, each with a link to the very words that define it.

    :::{term-list} english
    :::

lists every term with its Chinese name and its meaning, and `:::{term-list} chinese` the Chinese names in the order of
pinyin, each with the English one. When a chapter is read, the first italics with a term's words, outside of captions
and folded text, get the id that the list links to. Where there are none the build warns: no link misses its definition.
"""

from bisect import bisect
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

TERMS = "appendix/terms.yml"
# GB 2312 has its common characters in the order of pinyin. The first of each letter (no sound begins with I, U or V):
LETTERS = "ABCDEFGHJKLMNOPQRSTWXYZ"
FIRST = "啊芭擦搭蛾发噶哈击喀垃妈拿哦啪期然撒塌挖昔压匝"
# Rarer characters stand in the order of their radicals, and one with two sounds stands once: these sort as they sound.
SOUNDS = {"熵": "伤", "重新": "虫新"}

logger = logging.getLogger(__name__)


def read_terms(env):
    """The terms in the order of the file, which is that of the English alphabet."""
    path = Path(env.srcdir, TERMS)
    env.note_dependency(str(path))
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def place(term):
    """The id of a term's definition in its chapter."""
    return nodes.make_id("term-" + term["en"])


def words(text):
    """Text as it is compared: in one line, with straight apostrophes, without regard to case."""
    return " ".join(text.replace("’", "'").split()).casefold()


def pinyin_order(chinese):
    """The sorting key of a Chinese term: its letter in pinyin, and there names in Latin letters first."""
    for written, sound in SOUNDS.items():
        chinese = chinese.replace(written, sound)
    return pinyin_letter(chinese), chinese.casefold().encode("gb18030")


def pinyin_letter(chinese):
    if chinese[0].isascii():
        return chinese[0].upper()
    return LETTERS[bisect([first.encode("gb18030") for first in FIRST], chinese[0].encode("gb18030")) - 1]


def mark_definitions(app, doctree):
    """Give each definition in the chapter that was just read its id, or say what to do where there is none."""
    if not app.env.docname.startswith("chapters/"):
        return
    italics, sections = {}, {}
    for node in doctree.findall(nodes.emphasis):
        if not is_aside(node):
            italics.setdefault(words(node.astext()), node)
    for title in doctree.findall(nodes.title):
        if isinstance(title.parent, nodes.section):
            sections.setdefault(words(title.astext()), title.parent)
    for term in read_terms(app.env):
        if "chapters/" + term["in"] == app.env.docname:
            try:
                definition(term, italics, sections)["ids"].append(place(term))
            except LookupError as error:
                logger.warning("glossary, “%s”: %s %s (%s)", term["en"], app.env.docname, error, TERMS)


def is_aside(node):
    """True in a caption, and inside of a hint, an answer or a solution, which are folded: nothing is defined there."""
    while node := node.parent:
        if isinstance(node, nodes.caption) or "dropdown" in (node.get("design_component"), *node.get("classes", ())):
            return True
    return False


def definition(term, italics, sections):
    """The node that defines a term: italics, or the section under the heading that the entry names."""
    written = term.get("at", term["en"])
    if "heading" not in term:
        if words(written) in italics:
            return italics[words(written)]
        raise LookupError(
            f"nowhere has *{written}* in italics, captions and folded text left out: write it so at its definition, "
            "or correct the entry (`in` is the chapter, `at` the words in italics there)"
        )
    section = sections.get(words(term["heading"]))
    if section is None:
        raise LookupError(f"has no section “{term['heading']}”: correct the entry's `heading`")
    if words(written) not in words(section.astext()):
        raise LookupError(f"does not say “{written}” under “{term['heading']}”: correct the entry's `heading` or `at`")
    return section


class TermList(SphinxDirective):
    """One argument, `english` or `chinese`, and no content."""

    required_arguments = 1

    def run(self):
        terms = read_terms(self.env)
        if self.arguments[0] == "english":
            return self.by_letter("english", [(term["en"][0].upper(), self.entry(term)) for term in terms])
        if self.arguments[0] == "chinese":
            names = [(name, term["en"]) for term in terms for name in [term["zh"], *term.get("zh_also", [])]]
            names.sort(key=lambda pair: pinyin_order(pair[0]))
            return self.by_letter("chinese", [(pinyin_order(name)[0], index_entry(name, en)) for name, en in names])
        raise self.error("term-list takes `english` or `chinese`")

    def by_letter(self, language, items):
        """A line of letters to jump to, then the items under their letters."""
        lists = {}
        for letter, item in items:
            lists.setdefault(letter, nodes.definition_list(classes=["terms"])).append(item)
        line = nodes.paragraph(classes=["term-letters"])
        body = nodes.container(classes=[f"terms-{language}"])
        for letter, entries in lists.items():
            anchor = f"{language}-{letter.lower()}"
            line += [nodes.reference("", letter, refid=anchor, internal=True), nodes.Text(" ")]
            body += nodes.container("", nodes.rubric("", letter, ids=[anchor]), entries)
        return [line, body]

    def entry(self, term):
        """An English term with its Chinese name, its meaning and the link to its definition."""
        names = nodes.term("", "", nodes.strong("", term["en"]), ids=[nodes.make_id("glossary-" + term["en"])])
        if term["zh"] != term["en"]:
            names += [nodes.Text(" "), chinese(term["zh"])]
        others = [nodes.Text(other) for other in term.get("also", [])] + [chinese(x) for x in term.get("zh_also", [])]
        if others:
            also = nodes.inline("", "also ", classes=["term-also"])
            for other in others:
                also += [*([nodes.Text(", ")] if len(also) > 1 else []), other]
            names += [nodes.Text(" "), also]
        meaning, _ = self.parse_inline(term["is"], lineno=self.lineno)
        page = self.env.app.builder.get_relative_uri(self.env.docname, f"chapters/{term['in']}")
        link = nodes.reference(
            "", f"Chapter {int(term['in'][:2])}", refuri=f"{page}#{place(term)}", internal=True, classes=["term-place"]
        )
        said = nodes.definition("", nodes.paragraph("", "", *meaning, nodes.Text(" "), link))
        return nodes.definition_list_item("", names, said)


def chinese(text):
    """Text that the page marks as Chinese, in simplified characters; a name in Latin letters stays as it is."""
    return nodes.inline("", text, classes=[] if text.isascii() else ["language-zh-Hans"])


def index_entry(name, en):
    """A Chinese term with the English one, which is a link to its entry."""
    link = nodes.reference("", en, refid=nodes.make_id("glossary-" + en), internal=True)
    return nodes.definition_list_item(
        "", nodes.term("", "", chinese(name)), nodes.definition("", nodes.paragraph("", "", link))
    )


def setup(app):
    app.add_directive("term-list", TermList)
    app.connect("doctree-read", mark_definitions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
