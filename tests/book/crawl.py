"""What a page makes a browser load, and where its links lead: read from the HTML and the CSS, with no browser."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urldefrag, urlsplit

import tinycss2
import yaml

CONFIG = yaml.safe_load((Path(__file__).resolve().parents[2] / "_config.yml").read_text(encoding="utf-8"))
BASE = urlsplit(CONFIG["html"]["baseurl"]).path  # /attnbook/: from where 404.html leads on
LOADING = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "track": ("src",),
    "input": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
# Only these relations make a browser load something; rel="next" and the like do not.
LOADING_LINKS = {"stylesheet", "preload", "prefetch", "modulepreload", "icon", "manifest", "preconnect", "dns-prefetch"}
IN_SCRIPT = re.compile(
    r"""(?:\bimport\s*\(?|\bfrom\s|\bfetch\s*\(|\.src\s*=|importScripts\s*\()\s*["'`](?P<url>[^"'`]+)"""
)


def is_outside(url):
    """True when loading `url` would ask a server other than the page's own."""
    parts = urlsplit(url.strip())
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ws", "wss")


def loaded_by_css(text):
    """Every URL that a style sheet loads: url(...) and @import, at any depth."""

    def walk(tokens):
        for token in tokens or ():
            if token.type == "url":
                yield token.value
            elif token.type == "function":
                if token.lower_name == "url":
                    yield from (part.value for part in token.arguments if part.type == "string")
                yield from walk(token.arguments)
            elif token.type == "at-rule":
                if token.lower_at_keyword == "import":
                    yield from (part.value for part in token.prelude if part.type == "string")
                yield from walk(token.prelude)
                yield from walk(token.content)
            elif token.type == "qualified-rule":
                yield from walk(token.prelude)
                yield from walk(token.content)
            elif token.type in ("{} block", "() block", "[] block"):
                yield from walk(token.content)

    yield from walk(tinycss2.parse_stylesheet(text))


def loaded_by_page(page):
    """Every URL that a parsed page loads by its tags, its inline styles and its inline scripts."""
    for tag in page.find_all(True):
        for attribute in LOADING.get(tag.name, ()):
            value = tag.get(attribute)
            if value:
                yield from (part.split()[0] for part in value.split(",")) if attribute == "srcset" else (value,)
        if tag.name == "link" and LOADING_LINKS & set(tag.get("rel", ())) and tag.get("href"):
            yield tag["href"]
        if tag.name == "style":
            yield from loaded_by_css(tag.get_text())
        if tag.get("style"):
            yield from loaded_by_css(f"x {{ {tag['style']} }}")
        if tag.name == "script" and not tag.get("src"):
            yield from (match["url"] for match in IN_SCRIPT.finditer(tag.get_text()))


def links(page):
    """The targets of a parsed page's links, redirections included."""
    for tag in page.find_all(["a", "area"], href=True):
        yield tag["href"]
    for tag in page.find_all("meta", attrs={"http-equiv": re.compile("refresh", re.IGNORECASE)}):
        yield tag["content"].split("url=")[-1]


def resolve(page_path, href):
    """(path, fragment) of a link inside the book; path is '' when it leads out of the book's folder."""
    target, fragment = urldefrag(href)
    if target.startswith(BASE):
        return unquote(urlsplit(target).path).removeprefix(BASE), unquote(fragment)
    parts = list(PurePosixPath(page_path).parent.parts) if target else list(PurePosixPath(page_path).parts)
    for part in PurePosixPath(unquote(urlsplit(target).path)).parts:
        if part == "..":
            if not parts:
                return "", fragment
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts), unquote(fragment)


def anchors(page):
    """The ids and names on a parsed page."""
    return {tag["id"] for tag in page.find_all(id=True)} | {
        tag["name"] for tag in page.find_all("a", attrs={"name": True})
    }
