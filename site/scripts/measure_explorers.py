"""Measure in Chromium, on the built pages, how long an explorer takes to draw a change: milliseconds, and page weights.

    make book && python site/scripts/measure_explorers.py [--changes 300]

A change is what a control does: an input is set, the explorer computes and changes its elements, and the browser lays
the page out (asking for a size forces that). Painting comes after and is not in the number. What an explorer leaves for
the next frame is timed as that frame's own, and the longer of the two counts. Changes take turns over the inputs named
here. Weights are what a first visit loads, gzipped as servers send it.
"""

import argparse
import functools
import gzip
import http.server
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import sync_playwright

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PACKED = (".woff", ".woff2", ".png", ".jpg", ".ico")
# page, figure, and a list of changes as JavaScript: k counts them
EXPLORERS = [
    ("02-query-key-value", "fig-02-plane", "{query: [2 * Math.sin(k), 2 * Math.cos(k)]}"),
    ("03-scaled-dot-product", "fig-03-calculator", "{query: get('query').map((row) => row.map((x) => (x + k) % 4))}"),
    ("04-masks", "fig-04-painter", "[{half_width: k % 4}, {layers: 1 + k % 6}, {causal: k % 3 == 0}][k % 3]"),
    ("04-masks", "fig-04-painter", "{n: 12 + k % 5}"),
    ("05-scores", "fig-05-calculator", "{query: [[k % 5, k % 7, k % 3]]}"),
    ("05-scores", "fig-05-saturation", "[{d_k: 2 ** (k % 11)}, {seed: k % 32}][k % 2]"),
    ("08-many-heads", "fig-08-heads", "[{token: k % 10}, {layer: k % 2, head: k % 4}][k % 2]"),
    ("08-many-heads", "fig-08-cost", "[{n: 2 ** (6 + k % 11)}, {d: 2 ** (8 + k % 5)}][k % 2]"),
    ("09-positions", "fig-09-positions", "[{key_position: k % 49}, {query_position: (k * 7) % 49}][k % 2]"),
    ("09-positions", "fig-09-positions", "{form: ['sinusoidal', 'rotary', 'alibi', 't5'][k % 4]}"),
    ("11-sequences-to-sequences", "fig-11-word", "{step: 1 + k % 6}"),
    ("11-sequences-to-sequences", "fig-11-word", "{word: 'incomprehensibility'.slice(0, 1 + Math.abs(18 - k % 36))}"),
    ("11-sequences-to-sequences", "fig-11-word", "{word: 'extraordinarilywords'.slice(k % 8, 10 + k % 11)}"),
    ("11-sequences-to-sequences", "fig-11-forms", "{step: k % 8}"),
    ("11-sequences-to-sequences", "fig-11-forms", "{item: k % 6}"),
]
MEASURE = """([figure, changes, count]) => {
    const place = document.querySelector(`#${figure} .attn`).parentElement;
    const get = (name) => place.explorer.get(name);
    const change = new Function("k", "get", `return ${changes}`);
    const times = [];
    const usual = window.requestAnimationFrame;
    let later = [];
    window.requestAnimationFrame = (act) => later.push(act);
    const timed = (act) => {
        const begin = performance.now();
        act();
        place.getBoundingClientRect();
        return performance.now() - begin;
    };
    for (let k = 0; k < count; k++) {
        const values = Object.entries(change(k, get));
        later = [];
        const first = timed(() => values.forEach(([name, value]) => place.explorer.set(name, value)));
        times.push(Math.max(first, timed(() => later.forEach((act) => act()))));
    }
    window.requestAnimationFrame = usual;
    return times;
}"""


def wire_size(path):
    data = path.read_bytes()
    return len(data) if path.suffix in PACKED else len(gzip.compress(data))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=300)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/chapters"
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=found, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        print(f"{'explorer':20} {'median ms':>9} {'95% ms':>7}  changes")
        for page_name, figure, changes in EXPLORERS:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto(f"{address}/{page_name}.html")
            page.locator(f"#{figure} .attn").scroll_into_view_if_needed()
            page.evaluate(MEASURE, [figure, changes, 30])  # the compiler warms up
            times = sorted(page.evaluate(MEASURE, [figure, changes, options.changes]))
            print(f"{figure:20} {times[len(times) // 2]:9.2f} {times[int(0.95 * len(times))]:7.2f}  {changes[:60]}")
            page.close()
        for page_name in sorted({name for name, *_ in EXPLORERS}):
            page, loaded = browser.new_page(), set()
            page.on("requestfinished", lambda request, loaded=loaded: loaded.add(request.url))
            page.goto(f"{address}/{page_name}.html", wait_until="networkidle")
            for picture in page.locator("img:visible").all():
                picture.scroll_into_view_if_needed()
            page.wait_for_load_state("networkidle")
            files = [HTML / unquote(urlsplit(url).path).lstrip("/") for url in loaded]
            own = sum(wire_size(file) for file in files if "explorers" in file.parts)
            print(f"{page_name:28} {sum(map(wire_size, files)):9,} bytes, of explorers {own:7,}")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
