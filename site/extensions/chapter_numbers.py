"""Number figures, exercises and equations by chapter: Figure 3.1, not the 17th figure of the book.

Sphinx numbers by chapter only when it numbers the sections too. Here a chapter's number is part of its title and file
name (`chapters/03-...`), because chapters 3, 5 and 6 exist before chapter 4 does.
"""

import re
from collections import defaultdict


def chapter_number(docname):
    """The number in a document's name: 3 for `chapters/03-scaled-dot-product`, None for other pages."""
    match = re.fullmatch(r"chapters/(\d+)-[^/]+", docname)
    return int(match.group(1)) if match else None


def renumber(app, env):
    """Replace each chapter's running numbers (n,) with (chapter, n); return the pages that must be written anew."""
    changed = []
    for docname, kinds in env.toc_fignumbers.items():
        chapter = chapter_number(docname)
        if chapter is None:
            continue
        counts = defaultdict(int)
        for kind, numbers in kinds.items():
            for target in sorted(numbers, key=numbers.get):
                counts[kind] += 1
                numbers[target] = (chapter, counts[kind])
        changed.append(docname)
    return changed


def setup(app):
    # After Sphinx's own numbering, which listens to the same event with the default priority 500.
    app.connect("env-get-updated", renumber, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
