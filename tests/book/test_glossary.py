"""The glossary: terms.yml is complete and in order, and each link of the page leads to where the term is defined."""

import re
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
import yaml
from crawl import resolve

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def terms(root):
    return yaml.safe_load((root / "appendix" / "terms.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(pages):
    return pages["appendix/glossary.html"]


@pytest.fixture(scope="module")
def entries(page):
    """The English entries of the page, in its order: the names and the meaning of each."""
    lists = page.select(".terms-english dl.terms")
    return [(names, names.find_next_sibling("dd")) for entry in lists for names in entry.find_all("dt")]


def words(text):
    return " ".join(text.replace("’", "'").split()).casefold()


def test_every_entry_is_complete(terms):
    for term in terms:
        name = term.get("en", term)
        assert {"en", "zh", "is", "in"} <= set(term), f"{name}: en, zh, is and in are needed"
        assert set(term) <= {"en", "also", "zh", "zh_also", "is", "in", "at", "heading"}, f"{name}: an unknown field"
        assert HAN.search(term["zh"]) or term["zh"] == term["en"], f"{name}: zh is neither Chinese nor the name itself"
        assert term["is"].endswith("."), f"{name}: the meaning is no sentence"
        assert len(term["is"]) < 320, f"{name}: the meaning is longer than one or two sentences"
        assert term.get("at", "") != term["en"], f"{name}: `at` says the same as `en`, drop it"


def test_no_term_stands_twice(terms):
    english = Counter(name.casefold() for term in terms for name in [term["en"], *term.get("also", [])])
    chinese = Counter(name for term in terms for name in [term["zh"], *term.get("zh_also", [])])
    twice = [name for name, count in [*english.items(), *chinese.items()] if count > 1]
    assert not twice, (
        f"these names stand in two entries of terms.yml, which then mean the same or need two names: {twice}"
    )


def test_terms_are_in_the_order_of_the_alphabet(terms, entries):
    def key(name):
        plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
        return re.findall("[a-z0-9]+", plain)

    names = [term["en"] for term in terms]
    for name, following in pairwise(names):
        assert key(name) < key(following), f"terms.yml: move “{following}” before “{name}”"
    assert [words(dt.strong.get_text()) for dt, _ in entries] == [words(name) for name in names]


def test_every_link_leads_to_the_words_that_define_the_term(terms, entries, pages):
    assert len(entries) == len(terms) > 150
    for term, (_, meaning) in zip(terms, entries, strict=True):
        name, chapter = term["en"], f"chapters/{term['in']}"
        link = meaning.select_one("a.term-place")
        assert link.get_text() == f"Chapter {int(term['in'][:2])}"
        path, anchor = resolve("appendix/glossary.html", link["href"])
        assert path == f"{chapter}.html"
        target = pages[path].find(id=anchor)
        written = term.get("at", name)
        mend = f"write *{written}* where {chapter} defines it, or correct the entry in terms.yml, and build again"
        assert target is not None, f"{name}: {chapter} has no definition to link to; {mend}"
        if "heading" in term:
            section = target.find_parent("section") if target.name == "span" else target
            assert words(term["heading"]) in words(section.find(re.compile("^h[1-6]$")).get_text()), f"{name}: {mend}"
            assert words(written) in words(section.get_text()), f"{name}: {mend}"
        else:
            # The id's element is the italics, or (for the second term at the same words) an empty span before them.
            italics = target if target.name == "em" else target.find_next("em")
            assert words(italics.get_text()) == words(written), f"{name}: {mend}"
            folded = italics.find_parent(class_=["dropdown", "toggle"]) or italics.find_parent("details")
            assert folded is None, f"{name}: the definition is folded away in {chapter}; define it in the open text"


def test_the_chinese_index_has_every_chinese_name_and_leads_to_its_entry(terms, page):
    index = [(dt, dt.find_next_sibling("dd").a) for dt in page.select(".terms-chinese dl.terms dt")]
    names = {(name, words(term["en"])) for term in terms for name in [term["zh"], *term.get("zh_also", [])]}
    assert {(dt.get_text(), words(link.get_text())) for dt, link in index} == names
    for _, link in index:
        assert page.find(id=link["href"].removeprefix("#")).strong.get_text() == link.get_text()


def test_the_chinese_index_is_in_the_order_of_pinyin(page):
    letters = {}
    for rubric in page.select(".terms-chinese .rubric"):
        for dt in rubric.find_next_sibling("dl").find_all("dt"):
            letters[dt.get_text()] = rubric.get_text()
    assert list(letters.values()) == sorted(letters.values())
    # Written down by hand: sounds of all kinds, those that a table of codes gets wrong among them.
    by_hand = {
        "B": "编码器",
        "C": "查询、长短期记忆网络、重新归一化、词元",
        "D": "多头注意力",
        "J": "键",
        "M": "门",
        "Q": "嵌入、QK 归一化",
        "S": "熵、softmax 函数",
        "X": "线性注意力",
        "Y": "掩码",
        "Z": "注意力、值、秩",
    }
    assert {name: letters[name] for names in by_hand.values() for name in names.split("、")} == {
        name: letter for letter, names in by_hand.items() for name in names.split("、")
    }
    rare = [name for name in letters if HAN.match(name) and name[0].encode("gb2312")[0] >= 0xD8 and name[0] != "熵"]
    assert not rare, f"site/extensions/glossary.py: give {rare} common characters of the same sound in SOUNDS"


def test_chinese_text_is_marked_as_chinese(page):
    article = page.select_one("article")
    unmarked = [text for text in article.find_all(string=HAN) if not text.find_parent(lang=re.compile("^zh"))]
    assert not unmarked, f"give these the class language-zh-Hans: {unmarked}"


def test_the_notation_of_the_first_page_is_in_the_glossary(terms, root):
    names = {name.casefold() for term in terms for name in [term["en"], *term.get("also", [])]}
    table = (root / "intro.md").read_text(encoding="utf-8").split("| formula | code |")[1].split("\n\n")[0]
    column = [row.split("|")[2] for row in table.splitlines()[2:]]
    code = {name for cell in column for name in re.findall(r"`(\w+)`", cell)}
    assert {"queries", "d_k", "query", "weights", "output"} <= code
    lacking = {name for name in code if not {name, re.sub("ies$", "y", name).removesuffix("s")} & names}
    assert not lacking, f"terms.yml lacks, as a term or as another name of one: {sorted(lacking)}"
    assert "self-attention" in names
