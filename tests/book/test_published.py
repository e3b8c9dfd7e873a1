"""What stands beside the pages for the world outside: the map, the card, the page for errors, the citation."""

import struct
import tomllib
import xml.etree.ElementTree as ElementTree

import pytest
import yaml
from crawl import BASE, CONFIG, links, loaded_by_page

ADDRESS = CONFIG["html"]["baseurl"]


@pytest.fixture
def listed(root):
    """The book's pages by the table of contents."""
    contents = yaml.safe_load((root / "_toc.yml").read_text())
    return [contents["root"], *(entry["file"] for part in contents["parts"] for entry in part["chapters"])]


def test_the_map_lists_the_pages_of_the_contents(html, listed):
    space = {"map": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    places = ElementTree.parse(html / "sitemap.xml").findall("map:url/map:loc", space)
    assert sorted(place.text for place in places) == sorted(f"{ADDRESS}{name}.html" for name in listed)
    assert f"Sitemap: {ADDRESS}sitemap.xml" in (html / "robots.txt").read_text().splitlines()


def test_a_link_to_a_page_has_a_card(pages, html, listed):
    for name in listed:
        page = pages[f"{name}.html"]
        tags = {tag["property"]: tag["content"] for tag in page.select("meta[property]")}
        assert page.select_one("link[rel=canonical]")["href"] == tags["og:url"] == f"{ADDRESS}{name}.html"
        assert tags["og:title"] in page.title.get_text() and len(tags["og:title"]) > 5
        assert tags["og:description"] == page.find("meta", attrs={"name": "description"})["content"]
        assert tags["og:site_name"] == CONFIG["title"]
        card = (html / tags["og:image"].removeprefix(ADDRESS)).read_bytes()
        assert struct.unpack(">II", card[16:24]) == (1200, 630), "width and height in a PNG's header"
        assert len(card) < 100_000
        assert page.find("meta", attrs={"name": "twitter:card"})["content"] == "summary_large_image"


def test_the_page_for_errors_works_at_any_depth(pages):
    page = pages["404.html"]
    inside = [url for url in (*links(page), *loaded_by_page(page)) if not url.startswith(("http", "#", "data:"))]
    assert len(inside) > 30 and all(url.startswith(BASE) for url in inside)
    assert page.html["data-content_root"] == BASE and page.form["action"].startswith(BASE)
    assert page.find("meta", attrs={"name": "robots"})["content"] == "noindex"


def test_the_citation_agrees_with_the_book(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    # What version 1.2 of the format asks for.
    assert citation["cff-version"] == "1.2.0" and citation["message"]
    assert citation["authors"] == [{"name": CONFIG["author"]}]
    assert citation["title"] == CONFIG["title"]
    assert citation["version"] == project["version"]
    assert citation["repository-code"] == CONFIG["repository"]["url"]
    assert citation["url"] == ADDRESS
