from __future__ import annotations

import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE, clip, document_of, failed, still

from vidscan.report import WRITERS
from vidscan.report.formats import json as json_report

_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=25,
)


def written(document: dict[str, Any]) -> str:
    stream = io.StringIO()
    json_report.write(document, stream)
    return stream.getvalue()


@given(st.dictionaries(st.text(), _values, max_size=4))
def test_what_is_written_reads_back_as_the_same(document: dict[str, Any]) -> None:
    assert json.loads(written(document)) == document


def test_a_moment_of_the_timeline_is_one_line() -> None:
    report = clip(scores=[[0.5] * 10])
    lines = written(document_of(report, still(), failed(HOSTILE))).splitlines()
    assert sum('"time_s"' in line for line in lines) == 11
    whole = [json.loads(line.rstrip(",")) for line in lines if '"time_s"' in line]
    assert all(set(moment) == {"time_s", "fake_probability", "faces"} for moment in whole)
    assert lines[0] == "{"
    assert lines[1] == '  "schema": "vidscan.report/1",'


def test_it_ends_with_one_line_feed_and_keeps_letters() -> None:
    text = written(document_of(clip("clips/é日本.mp4")))
    assert text.endswith("}\n")
    assert "é日本" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("depth", [0, 6])
def test_nan_is_never_written(value: float, depth: int) -> None:
    nested: Any = value
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(ValueError, match="not JSON compliant"):
        written({"number": nested})


def test_the_name_map_holds_the_writer() -> None:
    assert WRITERS[".json"] is json_report.write
