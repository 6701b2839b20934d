"""What the package says of itself is true, and what users' tools look for is in it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import vidscan
from vidscan import version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PROJECT["project"]["dynamic"] and "version" not in PROJECT["project"]
    assert ROOT / PROJECT["tool"]["hatch"]["version"]["path"] == Path(version.__file__)
    assert vidscan.__version__ == version.__version__


@pytest.mark.parametrize("package", PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
def test_types_are_shipped(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_licence_expression_names_the_checkpoints_terms() -> None:
    expression = PROJECT["project"]["license"]
    named = [each for each in expression.split(" AND ") if each.startswith("LicenseRef-")]
    assert named == ["LicenseRef-vidscan-checkpoints"]
    terms = (ROOT / "LICENSES" / f"{named[0]}.txt").read_text(encoding="utf-8")
    assert "Non-commercial research use only" in terms
    for card in ("vidscan-lite2", "vidscan-vit"):
        document = json.loads((ROOT / "model" / "checkpoints" / f"{card}.json").read_text(encoding="utf-8"))
        assert document["terms"].startswith("Non-commercial research use only")
        assert card in terms


def test_licence_files_exist() -> None:
    for pattern in PROJECT["project"]["license-files"]:
        assert list(ROOT.glob(pattern)), pattern
