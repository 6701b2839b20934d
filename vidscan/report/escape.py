"""Untrusted text made harmless before it is shown."""

from __future__ import annotations

from vidscan.errors import escaped
from vidscan.report.codec import valid_text


def visible(text: str) -> str:
    r"""``text`` on one line, with what a terminal would act on or hide written as an escape (``\x1b``)."""
    return escaped(valid_text(text))
