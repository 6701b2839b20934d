"""The figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_json(result: Mapping[str, Any]) -> str:
    """The figures as a JSON object and a line end; figures that do not exist are null, never NaN."""
    return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
