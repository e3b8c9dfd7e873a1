"""Change the repository's address: in _config.yml, where it is set, and in every text that names it or its pages.

python site/scripts/repository.py https://github.com/you/book
"""

import re
import sys
from pathlib import Path

from notebook_checks import ROOT, repository

FORM = re.compile(r"https://github\.com/([A-Za-z0-9-]+/[A-Za-z0-9._-]+)")
FILES = ("_config.yml", "CITATION.cff", "*.md", "appendix/*.md", "chapters/*.ipynb")


def pages(url):
    """Where GitHub publishes a repository's pages, without the last slash."""
    owner, name = FORM.fullmatch(url).group(1).split("/")
    site = f"https://{owner.lower()}.github.io"
    return site if f"https://{name.lower()}" == site else f"{site}/{name}"


def change(url, root=ROOT):
    """Write the new address and return the files that changed.

    Links to Colab name the repository without its host, so that form is changed as well.
    Raises ValueError when `url` is not the address of a repository.
    """
    match = FORM.fullmatch(url)
    if not match or url.endswith(".git"):
        raise ValueError(f"URL: expected https://github.com/OWNER/NAME, got {url!r}")
    old = repository(root)
    replacements = {old: url, f"/github/{FORM.fullmatch(old).group(1)}": f"/github/{match.group(1)}"}
    replacements[pages(old)] = pages(url)
    changed = []
    for path in (path for pattern in FILES for path in sorted(Path(root).glob(pattern))):
        text = new = path.read_text(encoding="utf-8")
        for before, after in replacements.items():
            new = re.sub(re.escape(before) + r"(?![\w-]|\.\w)", after, new)
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("usage: make repository URL=https://github.com/OWNER/NAME")
    try:
        for file in change(sys.argv[1].rstrip("/")):
            print(file.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))
