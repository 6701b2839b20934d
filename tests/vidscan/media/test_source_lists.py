"""Lists of sources in text, CSV and Parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from vidscan.errors import SourceError
from vidscan.media import source_lists, sources
from vidscan.media.source_lists import from_list
from vidscan.records import Source, SourceKind


def names(place: Path | str) -> list[str]:
    return [source.name for source in from_list(str(place))]


def listed(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_text_has_a_source_on_each_line(tmp_path: Path) -> None:
    path = listed(tmp_path / "list.txt", "a.mp4\r\n\n s p.jpg\ns3://bucket/c.mkv\na.mp4\n  \n#1.mp4")
    assert names(path) == ["a.mp4", " s p.jpg", "s3://bucket/c.mkv", "#1.mp4"]
    kinds = [source.kind for source in from_list(str(path))]
    assert kinds == [SourceKind.VIDEO, SourceKind.IMAGE, SourceKind.VIDEO, SourceKind.VIDEO]
    assert [source.id for source in from_list(str(path))] == ["0", "1", "2", "3"]


def test_names_that_are_no_utf8_stay_what_they_are(tmp_path: Path) -> None:
    path = listed(tmp_path / "list", b"\xef\xbb\xbfa\xff.mp4\n")
    assert names(path) == ["a\udcff.mp4"]


@pytest.mark.parametrize(
    "text",
    [
        "source,label\na.mp4,1\nb.mp4,0\n",
        "label,File\n1,a.mp4\n0,b.mp4\n",
        "file,path\n0,a.mp4\n1,b.mp4\n",
        "label, URL \n1,a.mp4\n0,b.mp4\n",
        "a.mp4,1\nb.mp4,0\n",
        "label;file\n1,5;a.mp4\n0,5;b.mp4\n",
        "label\tfile\n1\ta.mp4\n0\tb.mp4\n",
        'path\n"a.mp4"\n\nb.mp4\n,\n',
    ],
)
def test_csv_has_a_column_of_them(tmp_path: Path, text: str) -> None:
    assert names(listed(tmp_path / "list.csv", text)) == ["a.mp4", "b.mp4"]


def test_parquet_has_a_column_of_them(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"when": [1, 2, 3], "path": ["a.mp4", "s3://b/c.mp4", None]})
    frame.to_parquet(tmp_path / "list.parquet")
    assert names(tmp_path / "list.parquet") == ["a.mp4", "s3://b/c.mp4"]
    with pytest.raises(SourceError, match="is no Parquet file"):
        from_list(str(listed(tmp_path / "bad.parquet", "PAR1")))


def test_a_list_may_lie_elsewhere(s3) -> None:
    url = s3.put("lists", "today.csv", b"source\ns3://clips/a.mp4\n")
    assert names(url) == ["s3://clips/a.mp4"]


def test_a_list_that_names_nothing_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="names no source"):
        from_list(str(listed(tmp_path / "empty.txt", "\n\n")))
    with pytest.raises(SourceError, match="names no source"):
        from_list(str(listed(tmp_path / "empty.csv", "source\n")))
    with pytest.raises(SourceError, match="the list cannot be read"):
        from_list(str(tmp_path / "gone.txt"))
    with pytest.raises(SourceError, match="the list is no text"):
        from_list(str(listed(tmp_path / "clip.mp4", b"\0\0\0 ftyp")))


def test_a_long_list_is_gone_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def source_at(number: str, entry: str) -> Source:
        made.append(number)
        return sources.source_at(number, entry)

    monkeypatch.setattr(source_lists, "source_at", source_at)
    lines = "".join(f"s3://bucket/{number:05}.mp4\n" for number in range(30_000))
    assert len(from_list(str(listed(tmp_path / "list.txt", lines + lines)))) == 30_000
    assert made == [str(number) for number in range(30_000)]
