"""The passages: plain text, each once, from all eleven chapters."""

import re

from attnbook.data import passages


def test_passages():
    every = passages.load()
    assert len(every) > 250
    assert {passage.chapter for passage in every} == set(range(1, 12))
    assert [p.chapter for p in every] == sorted(p.chapter for p in every)
    assert len({p.text for p in every}) == len(every)
    for passage in every:
        assert 150 <= len(passage.text) <= 700 and passage.section
        assert not re.search(r"\{(cite|numref|eq)|:::|\]\(|\$|`", passage.text), passage.text
