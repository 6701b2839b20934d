"""Makes untrusted text harmless before it is shown."""

from __future__ import annotations

from vidscan.errors import escaped
from vidscan.report.codec import valid_text


def visible(text: str) -> str:
    r"""Returns ``text`` on one line, with characters that a terminal acts on or hides escaped (``\x1b``)."""
    return escaped(valid_text(text))
