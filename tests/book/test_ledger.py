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
    """The claims that the chapters settle, each with its chapter's page and what its cell printed."""
    found = {}
    for path in sorted((root / "chapters").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for claim in settled([cell]):
                text = "".join("".join(output.get("text", "")) for output in cell["outputs"])
                found[claim] = (path.stem, text)
    return found


def test_every_claim_is_complete(ledger):
    ids = [claim["id"] for claim in ledger["claims"]]
    assert len(ids) == len(set(ids)) == 77
    for claim in ledger["claims"]:
        assert set(claim) == {"id", "section", "says", "verdict", "chapter", "evidence"}
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
        anchor = "claim-" + claim["id"].lower().replace(".", "-")
        assert link["href"] == f"../chapters/{tagged[claim['id']][0]}.html#{anchor}"
        evidence = rows[claim["id"]].select("td")[2].get_text().translate({0xA0: " ", 0x2019: "'"})  # as typeset
        assert evidence == claim["evidence"].replace("{", "").replace("}", "")


def test_every_claim_is_settled_and_its_evidence_was_printed(ledger, tagged):
    assert set(tagged) == {claim["id"] for claim in ledger["claims"]}
    for claim in ledger["claims"]:
        pieces = re.findall(r"\{(.+?)\}", claim["evidence"])
        assert pieces, claim["id"]
        for piece in pieces:
            assert piece in tagged[claim["id"]][1], (claim["id"], piece)


def test_the_page_counts_the_verdicts(ledger, pages):
    text = pages["appendix/ledger.html"].select_one(".ledger-count").get_text()
    assert text.startswith(f"{len(ledger['claims'])} claims, all settled")
    for verdict in VERDICTS:
        assert f"{verdict} {sum(claim['verdict'] == verdict for claim in ledger['claims'])}" in text
