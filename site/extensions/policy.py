"""A content security policy in every page: the browser loads and runs what belongs to the book, and nothing else.

GitHub Pages lets nobody set headers, so the policy stands in the page. Scripts inside a page are allowed by their hash:
whatever else came to stand there would not run. `file:` is for the edition that is read without a server.
"""

import base64
import hashlib
import re
from pathlib import Path

INLINE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*\btype=\"application/)[^>]*>(.*?)</script>", re.DOTALL)
POLICY = (
    "default-src 'none'; script-src 'self' file: {hashes}; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; font-src 'self' file:; connect-src 'self'; base-uri 'none'; form-action 'self' file:"
)


def digest(script):
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def write_policy(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        policy = POLICY.format(hashes=" ".join(sorted(set(map(digest, INLINE.findall(text))))))
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
        text, count = re.subn(r'(<meta charset="utf-8" ?/>)', rf"\1\n    {meta}", text, count=1, flags=re.IGNORECASE)
        if count:
            page.write_text(text, encoding="utf-8")


def setup(app):
    # When nothing in the pages changes any more.
    app.connect("build-finished", write_policy, priority=990)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
