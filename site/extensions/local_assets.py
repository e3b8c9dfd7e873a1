"""Put MathJax beside the pages, out of the package sphinx-mathjax-offline, so that no page asks another server.

Only what a page can ask for is copied: one script, its fonts, and the TeX extensions that it loads on demand.
"""

import shutil
from importlib.metadata import files
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
COPIED = ("tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff", "input/tex/extensions/*.js")
NOT_COPIED = "input/tex/extensions/all-packages.js"  # a bundle of the others


def mathjax_source():
    """The folder with MathJax 3 in the installed package (the package's name is no Python identifier)."""
    script = next((file for file in files(PACKAGE) or () if file.match("static/mathjax/tex-chtml.js")), None)
    if script is None:
        raise FileNotFoundError(f"MathJax's tex-chtml.js is not in the installed package {PACKAGE}")
    return Path(script.locate()).parent


def copy_mathjax(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_source(), Path(app.outdir, "_static", "mathjax")
    for pattern in COPIED:
        for file in source.glob(pattern):
            name = file.relative_to(source)
            if name.as_posix() != NOT_COPIED:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / name)


def setup(app):
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    # The menu asks for speech rules that are not in the package. Assistive MathML for screen readers stays on.
    app.config.mathjax3_config = {"options": {"enableMenu": False}}
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
