"""Sphinx extension: warn of built pages that need the network, or that link to a page or place that does not exist.

It runs at the end of each build, so `sphinx-build -W` fails for such a page.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

# what a browser loads by itself; an <a href> it follows only when the reader asks
LOADED = {("link", "href"), ("use", "href"), ("image", "href"), ("object", "data")}
LOADING = {"src", "srcset", "poster"}  # of any element
REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
IN_SCRIPTS = re.compile(r"(?:\bimport\b|\bfrom\b)\s*\(?\s*['\"]((?:https?:)?//[^'\"]+)", re.IGNORECASE)
QUIET_LINKS = {"canonical", "license"}  # <link rel> that loads nothing


class Page(HTMLParser):
    """The places of a page, its links, and what it loads from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.remote: list[str] = []
        self.within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within = tag
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        for name, value in values.items():
            loaded = name in LOADING or (tag, name.removeprefix("xlink:")) in LOADED
            if values.get("rel") in QUIET_LINKS:
                continue
            if loaded and any(REMOTE.match(part.strip()) for part in value.split(",")):
                self.remote.append(value)
            elif loaded or name == "href":
                self.links.append(value)
            if name == "style":
                self.remote += IN_STYLES.findall(value)

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        if self.within == "style":
            self.remote += IN_STYLES.findall(data)
        elif self.within == "script":
            self.remote += IN_SCRIPTS.findall(data)


def faults(folder: Path) -> Iterator[str]:
    """Find what is wrong with the pages in a folder, one sentence for each."""
    folder = folder.resolve()
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]  # a theme's templates
    pages = {path: Page(path.read_text()) for path in paths}
    for path, page in pages.items():
        name = path.relative_to(folder)
        for address in page.remote:
            yield f"{name} loads {address} from the network"
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue  # other sites; no network here to ask them
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{name} links to {link}, but there is no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{name} links to {link}, but that page has no such place"
    for path in sorted(folder.rglob("*.css")):
        for address in IN_STYLES.findall(path.read_text()):
            yield f"{path.relative_to(folder)} loads {address} from the network"


def check(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for fault in faults(Path(app.outdir)):
            logging.getLogger(__name__).warning(fault)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
