"""One style sheet instead of a dozen: the rules that the pages can use, in the order of the theme's and our own sheets.

The theme brings 600 KB of rules, most of them for icons and components that no page has, and a browser shows nothing
before it has read them all. A rule is kept unless it asks for a class or an id that no page and no script names.
"""

import posixpath
import re
import zlib
from pathlib import Path

import tinycss2

SHEET = "_static/book-all.css"
LINK = re.compile(r'[ \t]*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"?]+)[^"]*"[^>]*>\n?')
NESTED = {"media", "supports", "layer", "container"}


def names(selector):
    """The classes and ids that an element must have. What stands in :not(), :is() and the like counts for nothing."""
    after_dot = False
    for token in selector:
        if token.type == "hash" or (token.type == "ident" and after_dot):
            yield token.value
        after_dot = token.type == "literal" and token.value == "."


def selectors(prelude):
    """A rule's selectors, which commas part."""
    one = []
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            yield one
            one = []
        else:
            one.append(token)
    yield one


def squeezed(tokens):
    """Tokens as text, without comments and with single spaces."""
    text = tinycss2.serialize([token for token in tokens if token.type != "comment"])
    return re.sub(r"\s+", " ", text).strip()


def kept(rules, words):
    """The rules that can be used on pages with these words, as text."""
    for rule in rules:
        if rule.type == "qualified-rule":
            used = [one for one in selectors(rule.prelude) if words.issuperset(names(one))]
            if used:
                yield f"{','.join(map(squeezed, used))}{{{squeezed(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in NESTED and rule.content is not None:
            inside = "".join(kept(tinycss2.parse_rule_list(rule.content, True, True), words))
            if inside:
                yield f"@{rule.at_keyword} {squeezed(rule.prelude)}{{{inside}}}"
        elif rule.type == "at-rule" and "vendor/fontawesome" not in tinycss2.serialize(rule.content or []):
            # icons.py has smaller fonts of the same names.
            body = f"{{{squeezed(rule.content)}}}" if rule.content is not None else ";"
            yield f"@{rule.at_keyword} {squeezed(rule.prelude)}{body}"


def moved(text, folder):
    """Addresses in a sheet of that folder, as seen from the folder of the one sheet."""
    here = posixpath.dirname(SHEET)

    def move(match):
        address = match[2].strip("\"'")
        if address.startswith(("data:", "#")):
            return match[0]
        return f"url({posixpath.relpath(posixpath.join(folder, address), here)})"

    return re.sub(r"url\((\s*)(\"[^\"]*\"|'[^']*'|[^)\"']*)\)", move, text)


def sheets(pages):
    """The sheets that pages link to, as paths from the book's folder, in an order that holds on every page."""
    found = []
    for path, text in sorted(pages.items(), key=lambda page: -len(LINK.findall(page[1]))):
        folder = posixpath.dirname(path)
        for href in LINK.findall(text):
            name = posixpath.normpath(posixpath.join(folder, href))
            if name not in found:
                found.append(name)
    return found


def read(root, name, words):
    """The rules of one sheet that can be used, after those of the sheets that it imports."""
    folder = posixpath.dirname(name)
    rules = tinycss2.parse_stylesheet((root / name).read_text(encoding="utf-8"), True, True)
    imports = [rule for rule in rules if rule.type == "at-rule" and rule.lower_at_keyword == "import"]
    first = [
        read(root, posixpath.normpath(posixpath.join(folder, token.value)), words)
        for rule in imports
        for token in rule.prelude
        if token.type in ("string", "url")
    ]
    own = [rule for rule in rules if rule not in imports and getattr(rule, "at_keyword", "") != "charset"]
    return "\n".join([*first, moved("".join(kept(own, words)), folder)])


def write_sheet(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    root = Path(app.outdir)
    files = [path for path in root.rglob("*.html") if "_static" not in path.relative_to(root).parts]
    pages = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}
    scripts = [path.read_text(encoding="utf-8") for path in root.glob("_static/**/*.js")]
    named = [value for text in pages.values() for value in re.findall(r'\b(?:class|id)="([^"]*)"', text)]
    words = {word for text in (*named, *scripts) for word in re.findall(r"[\w-]+", text)}
    sheet = "\n".join(read(root, name, words) for name in sheets(pages))
    (root / SHEET).write_text(sheet, encoding="utf-8")
    for path, text in pages.items():
        up = "../" * path.count("/")
        link = f'<link rel="stylesheet" href="{up}{SHEET}?v={zlib.crc32(sheet.encode()):08x}" />\n'
        first = LINK.search(text)
        if first:
            text = text[: first.start()] + link + LINK.sub("", text[first.start() :])
            (root / path).write_text(text, encoding="utf-8")


def setup(app):
    # When all sheets and pages are written and mended.
    app.connect("build-finished", write_sheet, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
