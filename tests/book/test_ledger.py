"""The source ledger: claims.yml is complete, and the page says what the chapters' tags say."""

import json
import re

import pytest
import yaml
from notebook_checks import settled

VERDICTS = {"holds", "conditional", "wrong", "omits"}


@pytest.fixture(scope="module")
def ledger(root):
    return yaml.safe_load((root / "appendix" / "claims.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tagged(root):
    """The claims that the chapters settle, each with its chapter's page."""
    return {
        claim: path.stem
        for path in sorted((root / "chapters").glob("*.ipynb"))
        for claim in settled(json.loads(path.read_text(encoding="utf-8"))["cells"])
    }


def test_every_claim_is_complete(ledger):
    ids = [claim["id"] for claim in ledger["claims"]]
    assert len(ids) == len(set(ids)) == 77
    for claim in ledger["claims"]:
        assert set(claim) == {"id", "section", "says", "verdict", "chapter"}
        assert claim["verdict"] in VERDICTS
        assert claim["chapter"] in range(1, 21)
        assert claim["section"] in ledger["documents"][claim["id"][0]]["sections"]


def test_the_page_has_a_row_for_every_claim(ledger, pages, tagged):
    page = pages["appendix/ledger.html"]
    rows = {row.select_one(".claim-id").get_text(): row for row in page.select("table.ledger tbody tr")}
    assert set(rows) == {claim["id"] for claim in ledger["claims"]}
    for claim in ledger["claims"]:
        text = rows[claim["id"]].get_text(" ", strip=True)
        assert re.search(rf"\b{claim['verdict']}\b", text)
        link = rows[claim["id"]].find("a")
        if claim["id"] in tagged:
            anchor = "claim-" + claim["id"].lower().replace(".", "-")
            assert link["href"] == f"../chapters/{tagged[claim['id']]}.html#{anchor}"
        else:
            assert link is None and f"open (chapter {claim['chapter']})" in text


def test_the_page_counts_what_is_settled(ledger, pages, tagged):
    text = pages["appendix/ledger.html"].select_one(".ledger-count").get_text()
    assert text.startswith(f"{len(tagged)} of {len(ledger['claims'])} claims are settled")
    for verdict in VERDICTS:
        count = sum(claim["verdict"] == verdict for claim in ledger["claims"] if claim["id"] in tagged)
        assert (f"{verdict} {count}" in text) == (count > 0)
