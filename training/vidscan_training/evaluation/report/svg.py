"""Makes matplotlib's SVG files part of a page: its colours and fonts, its style sheet, nothing to fetch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from vidscan_training.evaluation.plots import COLOURS

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_LEFT_OUT = {f"{_SVG}metadata", f"{_SVG}style"}
"""Metadata names addresses; matplotlib's own style sheet would hold for the whole page."""


class StyleSheet:
    """The declarations of all drawings of a page, each under a class of its own.

    With them in one sheet, a page's content security policy can allow that sheet by its hash, and no
    style attribute at all.
    """

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def class_of(self, declarations: str) -> str:
        """The class that stands for declarations, the page's colours put in for the figure's."""
        kept = [part for part in _parts(declarations) if not part.startswith("font-family")]
        themed = "; ".join(kept)
        for name, colour in COLOURS.items():
            themed = themed.replace(colour, f"var(--{name})")
        return self._classes.setdefault(themed, f"d{len(self._classes)}")

    def css(self) -> str:
        """The rules, one a line."""
        return "".join(f".{name} {{ {declarations} }}\n" for declarations, name in self._classes.items())


def inline_svg(svg: str, name: str, label: str, styles: StyleSheet) -> str:
    """An ``<svg>`` element for a page.

    Args:
        svg: a whole SVG document from :mod:`vidscan_training.evaluation.plots`.
        name: goes before its ids, so that several drawings can share a page: letters, digits, hyphens.
        label: what it shows, for whoever cannot see it.
        styles: collects the declarations.

    Returns:
        The element, which fills the width of what it stands in.
    """
    ElementTree.register_namespace("", _SVG[1:-1])
    root = ElementTree.fromstring(svg)
    referred = set(re.findall(r"#([\w.-]+)", svg))
    for element in _without(root, _LEFT_OUT):
        if declarations := element.attrib.pop("style", None):
            element.set("class", styles.class_of(declarations))
        if (identity := element.attrib.pop("id", None)) in referred:
            element.set("id", f"{name}-{identity}")
        if target := element.attrib.pop(_HREF, None):
            element.set("href", f"#{name}-{target[1:]}")
        if clip := element.get("clip-path"):
            element.set("clip-path", clip.replace("#", f"#{name}-"))
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    text = ElementTree.tostring(root, encoding="unicode")
    # Within HTML the namespace goes without saying, and an address in the page looks like one to fetch.
    return re.sub(r"\s*\n\s*", " ", text.replace(f' xmlns="{_SVG[1:-1]}"', ""))


def _parts(declarations: str) -> list[str]:
    return [part.strip() for part in declarations.split(";") if part.strip()]


def _without(root: ElementTree.Element, tags: set[str]) -> Iterator[ElementTree.Element]:
    """All elements, those of ``tags`` taken out of the tree with what is in them."""
    for child in list(root):
        if child.tag in tags:
            root.remove(child)
    yield root
    for child in root:
        yield from _without(child, tags)
