"""The one document that `make pdf` prints: all pages in order, each link inside it leading to a place in it."""

from collections import Counter

import pytest
import yaml
from bs4 import BeautifulSoup
from pdf import beginnings, contents, document
from pypdf import PdfWriter


@pytest.fixture(scope="module")
def book(html):
    return BeautifulSoup(document({"intro": 17}), "lxml")


def test_all_pages_are_there_in_order(book, root):
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    files = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    assert [page["id"] for page in book.select("section.page")] == [name.replace("/", "-") for name in files]
    assert len(book.find_all("h1")) == len(files) + 1, "the table of contents has a heading too"
    assert book.select_one("nav li span").get_text() == "17"


def test_links_inside_lead_somewhere_and_those_outside_are_complete(book):
    places = Counter(tag["id"] for tag in book.find_all(id=True))
    assert max(places.values()) == 1
    links = [tag["href"] for tag in book.find_all("a", href=True)]
    inside = [link for link in links if link.startswith("#")]
    assert len(inside) > 500
    assert [link for link in inside if link[1:] not in places] == []
    assert all(link.startswith(("https://", "mailto:")) for link in links if not link.startswith("#"))


def test_nothing_moves_and_every_picture_is_there(book, html):
    assert not book.find_all(["script", "button", "noscript"]) and not book.select("details:not(.hide):not([open])")
    pictures = [tag["src"] for tag in book.find_all("img") if not tag["src"].startswith("data:")]
    assert len(pictures) > 100 and all((html.parent / picture).is_file() for picture in pictures)
    assert len(book.select("figure > .explorer-address")) >= 7


def test_chapters_begin_where_their_headings_stand(tmp_path):
    names = ["contents", *(name for _, pages in contents() for name in pages)]
    writer = PdfWriter()
    for number, name in enumerate(names):
        writer.add_blank_page(100, 100)
        writer.add_blank_page(100, 100)
        chapter = writer.add_outline_item(title=name, page_number=2 * number)
        writer.add_outline_item(title="a section", page_number=2 * number + 1, parent=chapter)
    writer.write(tmp_path / "a.pdf")
    found = beginnings((tmp_path / "a.pdf").read_bytes())
    assert found == {name: 2 * number + 1 for number, name in enumerate(names)}
