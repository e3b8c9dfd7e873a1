"""A page with explorers and nothing else, for work on them.

    python site/scripts/preview.py PAGE.html 'Calculator(query=[[1, 2]], key=[[1, 0], [0, 1]], value=[[1], [2]])' ...

Each expression is evaluated with everything in attnbook.widgets at hand.
"""

import json
import sys
from html import escape
from pathlib import Path

from attnbook import widgets
from attnbook.widgets import sources

LOADER = Path(__file__).resolve().parents[1] / "assets" / "explorers.js"


def page(explorers, theme="light"):
    """The HTML of a page with these explorers, each in the place of its picture, as in the book."""
    sheets = sorted(path.name for path in sources.FOLDER.glob("*.css") if path.name != "explorer.css")
    figures, scripts = [], {}
    for number, explorer in enumerate(explorers, 1):
        values = {name: sources.embedded(json.loads(text)) for name, text in explorer.state().items()}
        data = json.dumps(values).replace("<", "\\u003c")
        tag = f'<script type="application/json" data-explorer="{explorer.name}" data-figure="f{number}">{data}</script>'
        figures.append(f'<figure id="f{number}">{tag}<img alt="{escape(repr(explorer))}"></figure>')
        scripts[explorer.name] = sources.script(explorer.name)
    return f"""<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Explorers</title>
<meta name="viewport" content="width=device-width"><style>body{{margin:1rem auto;max-width:44rem;padding:0 .5rem;
background:{"#15191f" if theme == "dark" else "#fff"}}}figure{{margin:1rem 0}}{sources.style(*sheets)}</style></head>
<body><main><h1>Explorers</h1>{"".join(figures)}</main>
{"".join(f"<script>{text}</script>" for text in scripts.values())}<script>{LOADER.read_text()}</script></body></html>"""


def main():
    target, *expressions = sys.argv[1:]
    explorers = [eval(expression, vars(widgets).copy()) for expression in expressions]
    Path(target).write_text(page(explorers), encoding="utf-8")
    dark = Path(target).with_suffix(".dark.html")
    dark.write_text(page(explorers, theme="dark"), encoding="utf-8")
    print(target, dark)


if __name__ == "__main__":
    main()
