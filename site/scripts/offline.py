"""Pack the built pages into one archive that a reader unpacks and opens, without a server.

python site/scripts/offline.py        after `make book`; writes _build/attention-executed.zip
"""

import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
ARCHIVE = ROOT / "_build" / "attention-executed.zip"
NAME = "attention-executed"
# What only a published book needs, and what the theme brings and no page loads.
LEFT_OUT = re.compile(
    r"404\.html|sitemap\.xml|robots\.txt|objects\.inv|.*\.map|_static/vendor/.*|.*/fontawesome.*|.*macros\.html"
)
DAY = (1980, 1, 1, 0, 0, 0)  # the same pages give the same bytes


def packed():
    """The files of the archive, by their names in it."""
    files = sorted(path for path in HTML.rglob("*") if path.is_file())
    names = {path.relative_to(HTML).as_posix(): path for path in files}
    return {name: path for name, path in names.items() if not LEFT_OUT.fullmatch(name)}


def write(archive=ARCHIVE):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, path in packed().items():
            file.writestr(zipfile.ZipInfo(f"{NAME}/{name}", DAY), path.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    if not (HTML / "index.html").exists():
        sys.exit("make offline needs the built pages: make book")
    write()
    print(f"{ARCHIVE.relative_to(ROOT)}: {ARCHIVE.stat().st_size / 1e6:.1f} MB; unpack it and open {NAME}/index.html")
