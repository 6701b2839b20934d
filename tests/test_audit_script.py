"""The dependency audit without a network: its answers are made here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "audit_dependencies.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("audit_dependencies", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["audit"])
    monkeypatch.setattr(module.venv, "create", lambda *a, **k: None)
    return module


def answering(
    monkeypatch, script, code: int, out: str, err: str = "", at: str = "pip_audit"
) -> list[list[str]]:
    asked = []

    def run(command, **options):
        asked.append(command)
        ours = at in command
        return subprocess.CompletedProcess(
            command, code if ours else 0, out if ours else "", err if ours else ""
        )

    monkeypatch.setattr(script.subprocess, "run", run)
    return asked


def test_what_is_known_is_listed(script, monkeypatch, capsys):
    known = {"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}
    entries = [{"name": "a", "version": "1.0", "vulns": [known]}, {"name": "b", "skip_reason": "no such"}]
    asked = answering(monkeypatch, script, 1, json.dumps({"dependencies": entries}))
    assert script.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "a 1.0: GHSA-1 (CVE-1), fixed in 2.0",
        "b: not looked up: no such",
    ]
    assert len(asked) == 2


def test_nothing_known(script, monkeypatch, capsys):
    answering(
        monkeypatch, script, 0, json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
    )
    assert script.main() == 0
    assert "nothing is known against the 1 dependencies" in capsys.readouterr().out


def test_a_database_that_knows_nothing_at_all_was_not_asked(script, monkeypatch, capsys):
    entries = [{"name": name, "skip_reason": "Dependency not found"} for name in "ab"]
    answering(monkeypatch, script, 0, json.dumps({"dependencies": entries}))
    assert script.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "answered for none of the 2 dependencies" in line


@pytest.mark.parametrize("at", ["pip", "pip_audit"])
def test_no_network_is_one_line(script, monkeypatch, capsys, at):
    answering(monkeypatch, script, 1, "", "a long story\nConnectionError: no route to host\n", at)
    assert script.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("audit: the audit needs a network") and line.endswith("no route to host")


def test_the_environment_is_listed_without_vidscan(script):
    names = {entry.partition("==")[0] for entry in script.installed()}
    assert {"keras", "tensorflow", "mediapipe", "numpy"} <= names and "vidscan" not in names
