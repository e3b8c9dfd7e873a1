"""Cuts the text of chapters 1 to 11 into the passages that chapter 13 searches: attnbook/data/passages.json.

    python site/scripts/cut_passages.py [--output FILE]

A passage is a paragraph of prose without formulas, boxes and lists, as plain text. The file is a snapshot: when a
chapter changes, chapter 13 goes on with the text that was cut, until this is run again.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "attnbook" / "data" / "passages.json"
SHORTEST, LONGEST = 150, 700  # characters
LAST = 11
NOT_PROSE = ("Summary", "Sources and further reading", "Exercises that check themselves")


def plain(text: str) -> str:
    """MyST as a reader sees it: links by their text, roles by what they name."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r" ?\{cite:p\}`[^`]*`", "", text)
    text = re.sub(r"\{cite:t\}`([a-z]+?)(\d{4})\w*`", lambda m: f"{m[1].capitalize()} ({m[2]})", text)
    text = re.sub(r"\{numref\}`[^`]*`", "the figure", text)
    text = re.sub(r"\{eq\}`[^`]*`", "the equation", text)
    text = re.sub(r"<[^>]+>", "", text)
    return " ".join(text.replace("`", "").replace("*", "").split())


def passages(path: Path) -> list[dict[str, object]]:
    """The passages of one chapter, each with the section that it stands in."""
    found, section = [], ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        text = re.sub(r"^:::+\{.*?^:::+ *$", "", "".join(cell["source"]), flags=re.DOTALL | re.MULTILINE)
        for paragraph in re.split(r"\n\s*\n", text):
            heading = re.match(r"#+ (.*)", paragraph)
            if heading:
                section = plain(heading[1])
            elif section in NOT_PROSE:
                continue
            elif "$" not in paragraph and not re.match(r"\s*([-|:!>]|\d+\.|\(|```)", paragraph):
                whole = plain(paragraph)
                if SHORTEST <= len(whole) <= LONGEST:
                    found.append({"chapter": int(path.stem[:2]), "section": section, "text": whole})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    chapters = sorted((ROOT / "chapters").glob("*.ipynb"))[:LAST]
    found = [passage for path in chapters for passage in passages(path)]
    output.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(found), "passages,", output.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
