"""The certificates of those whose signatures a user trusts."""

from __future__ import annotations

import re
from pathlib import Path

from vidscan.errors import UsageError
from vidscan.system.files import raising

MAX_BYTES = 8 << 20
"""Upper limit on the bytes of a trust folder's files together."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def certificates_in(folder: Path | None) -> str:
    """The certificates in the PEM files of a folder, in the order of the files' names; "" for None.

    Raises:
        UsageError: it is no folder that can be read, or holds no certificate, or too much.
    """
    if folder is None:
        return ""
    shown = f"--trust {str(folder)!r}"
    with raising(lambda why: UsageError(f"{shown}: cannot be read ({why}): name a folder of PEM files")):
        files = sorted(path for path in Path(folder).iterdir() if path.is_file())
        if sum(path.stat().st_size for path in files) > MAX_BYTES:
            raise UsageError(
                f"{shown}: holds more than {MAX_BYTES >> 20} MiB: name a folder of PEM files alone"
            )
        found = [each for path in files for each in _CERTIFICATE.findall(path.read_text("ascii", "replace"))]
    if not found:
        raise UsageError(f"{shown}: holds no certificate in PEM: put those of the signers you trust there")
    return "\n".join(found) + "\n"
