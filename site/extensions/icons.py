"""Serve the pages' icons as two small fonts instead of the theme's fontawesome.js, which is 1.5 MB on every page.

The theme's own style sheet names a font and a character for each icon, and brings the fonts along. What the pages use
is cut out of them: the icons named in the HTML, and the characters that the style sheets set.
"""

import re
from pathlib import Path

from fontTools import subset

# File in the theme, and the family, weight of its @font-face rule, which the rule written here overrides.
FONTS = {"fa-solid-900": ("Font Awesome 6 Free", 900), "fa-brands-400": ("Font Awesome 6 Brands", 400)}


def used_characters(pages, sheets):
    """The characters of the icons that the pages name, and those that rules other than the icons' own set."""
    icons = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
    code_of = {name: code for names, code in icons.findall(sheets) for name in re.findall(r"\.fa-([a-z0-9-]+):", names)}
    named = {code_of[name] for name in re.findall(r"\bfa-([a-z0-9-]+)", pages) if name in code_of}
    rest = icons.sub("", sheets)
    escaped = set(re.findall(r'content:\s*"\\(f[0-9a-f]{3})"', rest))
    literal = {f"{ord(character):x}" for character in rest if "\ue000" <= character <= "\uf8ff"}
    return sorted(int(code, 16) for code in named | escaped | literal)


def write_icons(app, exception):
    """Write the fonts and the style sheet that names them."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    pages = "".join(page.read_text(encoding="utf-8") for page in Path(app.outdir).rglob("*.html"))
    sheets = "".join(sheet.read_text(encoding="utf-8") for sheet in static.rglob("*.css"))
    pages += "".join(script.read_text(encoding="utf-8") for script in static.glob("scripts/*theme.js"))
    characters = used_characters(pages, sheets)
    (static / "icons").mkdir(exist_ok=True)
    rules = []
    for file, (family, weight) in FONTS.items():
        font = subset.load_font(static / "vendor/fontawesome/webfonts" / f"{file}.ttf", subset.Options())
        cutter = subset.Subsetter(subset.Options(notdef_outline=False))
        cutter.populate(unicodes=characters)
        cutter.subset(font)
        font.flavor = "woff"
        font.save(static / "icons" / f"{file}.woff")
        source = f'url({file}.woff) format("woff")'
        rules.append(f'@font-face{{font-family:"{family}";font-weight:{weight};font-display:block;src:{source}}}')
    (static / "icons" / "icons.css").write_text("\n".join(rules) + "\n", encoding="utf-8")


def setup(app):
    app.add_css_file("icons/icons.css", priority=900)
    app.connect("build-finished", write_icons)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
