"""Put the chapters that say most about a word first among what a search finds.

Sphinx gives every page that has a word the same mark and then sorts by title. Here the pages' word counts are written
beside the search's index, and site/assets/search_order.js adds to the mark what they say.
"""

import json
from collections import Counter
from pathlib import Path

FEWEST = 2  # a word that a page has once says nothing that the index does not


def counts(app, name):
    """How often a page has each word, in the form in which the search's index has it."""
    language = app.builder.indexer.lang
    words = (language.stem(word).lower() for word in language.split(app.env.get_doctree(name).astext()))
    often = Counter(word for word in words if language.word_filter(word))
    return {word: count for word, count in sorted(often.items()) if count >= FEWEST}


def write_counts(app, exception):
    if exception is not None or app.builder.format != "html" or not app.builder.search:
        return
    pages = {name: counts(app, name) for name in sorted(app.env.found_docs)}
    index = Path(app.outdir, "searchindex.js")
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    index.write_text(f"globalThis.bookCounts={text};\n{index.read_text(encoding='utf-8')}", encoding="utf-8")


def setup(app):
    app.config.html_search_scorer = str(Path(app.confdir, "site/assets/search_order.js"))
    app.connect("build-finished", write_counts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
