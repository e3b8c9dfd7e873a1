"""A figure shown on another page is the chapter's own, picture and alternative text."""

import json
import re
from urllib.parse import unquote


def test_every_stored_figure_is_the_chapters_picture(pages, root):
    source = (root / "intro.md").read_text(encoding="utf-8")
    wanted = re.findall(r"\{stored-figure\} (\S+) (\S+)", source)
    images = pages["intro.html"].select("figure.stored-figure img")
    assert wanted and len(images) == len(wanted)
    for (chapter, name), image in zip(wanted, images, strict=True):
        cells = json.loads((root / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
        [cell] = [c for c in cells if c["metadata"].get("mystnb", {}).get("figure", {}).get("name") == name]
        [svg] = ["".join(o["data"]["image/svg+xml"]) for o in cell["outputs"] if "image/svg+xml" in o.get("data", {})]
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml"
        assert unquote(data) == svg
        assert image["alt"] == cell["metadata"]["mystnb"]["image"]["alt"]
        assert image.find_parent("figure").figcaption.get_text(strip=True)
