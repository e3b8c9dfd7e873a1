"""Lighthouse's scores for built pages, served as GitHub Pages serves them: packed by gzip.

python site/scripts/lighthouse.py [page ...]        after `make book`; pages as intro.html or chapters/05-scores.html
"""

import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
LIGHTHOUSE = "lighthouse@12.8.2"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKED = {".html", ".css", ".js", ".svg", ".json", ".xml"}
LOWEST = 95


class Packing(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Cache-Control", "max-age=600")
        if path.suffix in PACKED:
            data = gzip.compress(data)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


def heaviest():
    """The intro, the page with the most bytes, and the one with the most elements."""
    pages = sorted(HTML.glob("chapters/*.html"))
    texts = {page.relative_to(HTML).as_posix(): page.read_text(encoding="utf-8") for page in pages}
    bytes_first = max(texts, key=lambda name: len(gzip.compress(texts[name].encode())))
    elements_first = max(texts, key=lambda name: texts[name].count("</"))
    return list(dict.fromkeys(["intro.html", bytes_first, elements_first]))


def scores(address, preset, chromium):
    command = ["npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json", "--output-path=stdout"]
    command += ["--chrome-flags=--headless=new --no-sandbox --disable-gpu"]
    command += ["--preset=desktop"] if preset == "desktop" else []
    environment = {**os.environ, "CHROME_PATH": chromium}
    answer = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout
    return {name: round(100 * part["score"]) for name, part in json.loads(answer)["categories"].items()}


def main(pages):
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None or shutil.which("npx") is None or not (HTML / "index.html").exists():
        sys.exit("make lighthouse needs the built pages (make book), npx, and Chromium on the path or in CHROMIUM")
    handler = functools.partial(Packing, directory=HTML)
    low = False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for page in pages or heaviest():
            for preset in ("mobile", "desktop"):
                found = scores(f"http://127.0.0.1:{server.server_port}/{page}", preset, chromium)
                low |= min(found.values()) < LOWEST
                print(f"{page} {preset}: " + ", ".join(f"{name} {score}" for name, score in found.items()), flush=True)
        server.shutdown()
    sys.exit(f"a score is below {LOWEST}" if low else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
