"""Asks a public database whether the installed dependencies have known vulnerabilities. Needs a network.

    python scripts/audit_dependencies.py

Lists what is installed in the environment of this interpreter (the one that runs vidscan), installs pip-audit
into a temporary environment of its own, so that nothing is added to this one, and prints what the database
knows of each version. Exit codes: 0 nothing is known, 1 something is, 2 it could not be asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PIP_AUDIT = "pip-audit>=2.7,<3"
OWN = frozenset(("vidscan", "pip", "setuptools", "wheel"))
"""vidscan is in no database, and the others do not run in a scan."""

TIMEOUT_S = 600.0


class AuditError(Exception):
    """The database could not be asked; the message is one line."""


def installed() -> list[str]:
    """``name==version`` of everything in this environment."""
    found = {
        f"{entry.metadata['Name'].lower()}=={entry.version}"
        for entry in metadata.distributions()
        if entry.metadata["Name"] and entry.metadata["Name"].lower() not in OWN
    }
    return sorted(found)


def audit(requirements: Sequence[str], service: str) -> list[dict[str, Any]]:
    """What the database says of each requirement, as pip-audit's JSON lists it.

    Raises:
        AuditError: pip-audit could not be installed, or got no answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "env" / "bin" / "python"
        venv.create(python.parents[1], with_pip=True)
        _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", PIP_AUDIT])
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        asked = ["--requirement", str(wanted), "--no-deps", "--disable-pip", "--format", "json"]
        options = ["--vulnerability-service", service, "--progress-spinner", "off"]
        answer = _run([str(python), "-m", "pip_audit", *asked, *options], good=(0, 1))
    try:
        listed: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError) as error:
        raise AuditError(f"pip-audit's answer cannot be understood: {answer[:200]!r}") from error
    if listed and all("skip_reason" in entry for entry in listed):
        raise AuditError(
            f"the database at {service} answered for none of the {len(listed)} dependencies "
            f"({listed[0]['skip_reason'][:100]}): is there a network that reaches it?"
        )
    return listed


def _run(command: Sequence[str], good: Sequence[int] = (0,)) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise AuditError(f"no answer within {TIMEOUT_S:.0f} s: is there a network?") from error
    # pip-audit ends with 1 where it found something, and where it failed.
    if done.returncode not in good or not (done.stdout.strip() or done.returncode == 0):
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        cause = lines[-1][:200] if lines else f"exit code {done.returncode}"
        raise AuditError(f"the audit needs a network and got none, or was refused: {cause}")
    return done.stdout


def findings(listed: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One line for each vulnerability, and for each dependency that the database could not be asked about."""
    for entry in listed:
        if "skip_reason" in entry:
            yield f"{entry['name']}: not looked up: {entry['skip_reason']}"
        for each in entry.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            also = f" ({', '.join(each['aliases'])})" if each.get("aliases") else ""
            yield f"{entry['name']} {entry['version']}: {each['id']}{also}, fixed in {fixed}"


def main() -> int:
    """Prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="whom to ask (pypi)")
    flags = parser.parse_args()
    requirements = installed()
    try:
        listed = audit(requirements, flags.service)
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    found = list(findings(listed))
    print("\n".join(found) or f"nothing is known against the {len(listed)} dependencies")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
