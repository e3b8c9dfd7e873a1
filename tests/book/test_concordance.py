"""Every heading of the source documents has its place in the book, and every place is there."""

from pathlib import Path
from urllib.parse import urldefrag

import pytest
import yaml


@pytest.fixture(scope="module")
def concordance(root):
    return yaml.safe_load((root / "appendix" / "concordance.yml").read_text(encoding="utf-8"))


def test_every_heading_of_the_documents_has_a_place(concordance):
    lines = Path(__file__).with_name("source-headings.txt").read_text(encoding="utf-8").splitlines()
    listed = [f"{letter}\t{one['heading']}" for letter, document in concordance.items() for one in document["headings"]]
    assert listed == lines and len(lines) == 79
    for document in concordance.values():
        for one in document["headings"]:
            assert one["places"] and one["means"], one["heading"]


def test_the_page_leads_to_every_place(concordance, pages):
    tables = pages["appendix/concordance.html"].select("table.concordance")
    assert len(tables) == len(concordance) == 5
    for document, table in zip(concordance.values(), tables, strict=True):
        rows = table.select("tbody tr")
        assert len(rows) == len(document["headings"])
        for one, row in zip(document["headings"], rows, strict=True):
            assert row.select("td")[0].get_text().strip() == one["heading"]
            links = row.select("a")
            assert len(links) == len(one["places"])
            for place, link in zip(one["places"], links, strict=True):
                number, anchor = place.split("#")
                page, fragment = urldefrag(link["href"])
                name = page.removeprefix("../")
                assert name.startswith(f"chapters/{number}-") and bool(fragment) == bool(anchor)
                assert link.get_text(strip=True)
                assert not fragment or pages[name].find(id=fragment) is not None, place
