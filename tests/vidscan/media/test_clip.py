"""Clips are read as a person sees them: whole lines, square pixels, SDR, every stream, to the true end."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import DecodeError, SourceError, UsageError
from vidscan.media import clip as clip_module
from vidscan.media import interlacing
from vidscan.media.appended import is_joined_matroska
from vidscan.media.clap import has_clap
from vidscan.media.clip import MAX_STREAMS, Clip
from vidscan.media.combs import combed
from vidscan.media.ffmpeg import decode, presentation
from vidscan.media.ffmpeg.command import Look
from vidscan.media.ffmpeg.program import crops
from vidscan.media.interlacing import MAX_SUSPICIONS
from vidscan.options import SamplingOptions
from vidscan.records import Frame

H264 = ("-c:v", "libx264", "-crf", "12", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
SWAYING = "testsrc2=size=384x240:rate={rate}:duration=2,crop=320:240:32+32*sin(2*PI*t):0"
FIELDS = "tinterlace=4:flags=vlpf"
MARKED = ("-field_order", "tt", "-flags", "+ildct+ilme", "-x264-params", "tff=1")


def lavfi(graph: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", graph)


def read(path: Path, **options) -> tuple[Clip, list[Frame]]:
    found = Clip(path, SamplingOptions(**options))
    return found, list(found.frames("7"))


def codes(clip: Clip) -> list[str]:
    return [remark.code for remark in clip.remarks]


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.time_s, 2) for frame in frames]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.fixture(scope="module")
def plain(make_clip) -> Path:
    return make_clip("swaying.mp4", *lavfi(SWAYING.format(rate=25)), *H264)


@pytest.fixture(scope="module")
def interlaced(make_clip) -> Path:
    return make_clip("fields.mp4", *lavfi(f"{SWAYING.format(rate=50)},{FIELDS}"), *H264, *MARKED)


@pytest.fixture(scope="module")
def unsaid(make_clip) -> Path:
    return make_clip("unsaid.mp4", *lavfi(f"{SWAYING.format(rate=50)},{FIELDS},setfield=prog"), *H264)


# Two fields


def test_ordinary_clip_is_left_as_it_is(plain: Path):
    clip, frames = read(plain)
    assert codes(clip) == [] and clip.duration_s == 2.0
    stored = list(decode.stream_frames(plain, 2.0))
    assert [frame.time_s for frame in frames] == [time_s for time_s, _ in stored]
    assert all(np.array_equal(frame.image, image) for frame, (_, image) in zip(frames, stored, strict=True))


@pytest.mark.parametrize("options", [{}, {"frames": 4}, {"frames": 1}, {"keyframes": True}])
def test_interlaced_clip_is_deinterlaced(interlaced: Path, options: dict):
    assert any(combed(image) for _, image in decode.stream_frames(interlaced, 2.0)), "it has combs as stored"
    clip, frames = read(interlaced, **options)
    assert codes(clip) == ["deinterlaced"]
    assert not any(combed(frame.image) for frame in frames)
    if not options:
        assert times(frames) == [0.0, 0.52, 1.0, 1.52]


def test_interlaced_clip_looks_like_the_one_that_never_was(interlaced: Path, plain: Path):
    as_stored = [image for _, image in decode.stream_frames(interlaced, 2.0)]
    for frame, other, stored in zip(read(interlaced)[1], read(plain)[1], as_stored, strict=True):
        assert difference(frame.image, other.image) < 0.6 * difference(stored, other.image)


def test_combs_that_the_file_does_not_tell_of_are_found(unsaid: Path):
    clip, frames = read(unsaid)
    assert codes(clip) == ["deinterlaced"] and "does not say" in clip.remarks[0].text
    assert not any(combed(frame.image) for frame in frames)
    assert times(frames) == [0.0, 0.52, 1.0, 1.52]


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("order", [0, 1])
def test_either_order_of_fields_is_found(make_clip, order: int, marked: bool):
    graph = f"{SWAYING.format(rate=50)},tinterlace={4 + order}:flags=vlpf,setfield=prog"
    path = make_clip(f"order{order}.mp4", *lavfi(graph), *H264)
    assert interlacing.interlaced(path, presentation.Presentation(0), 0.5, marked=marked)


@pytest.fixture(scope="module")
def whole(make_clip) -> Path:
    """Marked as fields, both of one moment."""
    return make_clip("whole.mp4", *lavfi(f"{SWAYING.format(rate=25)},setfield=tff"), *H264, *MARKED)


@pytest.mark.parametrize(
    ("options", "look"),
    [({}, Look(fps=2.0)), ({"frames": 2}, Look(fps=1.0)), ({"keyframes": True}, Look(keyframes=True))],
)
def test_whole_frames_that_are_stored_as_fields_are_left_as_they_are(whole: Path, options: dict, look: Look):
    stored = list(decode.pictures(whole, look))
    assert stored and all(picture.interlaced for picture in stored), "they are marked"
    clip, frames = read(whole, **options)
    assert codes(clip) == []
    assert all(np.array_equal(one.image, other.image) for one, other in zip(frames, stored, strict=True))


def in_a_row(make_clip, folder: Path, *parts: Path) -> Path:
    listed = folder / "list.txt"
    listed.write_text("".join(f"file '{path}'\n" for path in parts))
    name = "+".join(path.stem for path in parts)
    return make_clip(f"{name}.mp4", "-f", "concat", "-safe", "0", "-i", listed, "-c", "copy")


def unchanged(path: Path, frames: list[Frame]) -> list[bool]:
    stored = [image for _, image in decode.stream_frames(path, 2.0)]
    return [np.array_equal(frame.image, image) for frame, image in zip(frames, stored, strict=True)]


def test_fields_after_whole_frames_that_are_marked_alike_are_found(
    make_clip, whole: Path, interlaced: Path, tmp_path: Path
):
    path = in_a_row(make_clip, tmp_path, whole, whole, interlaced, interlaced)
    clip, frames = read(path)
    assert "from 4.0 s on" in clip.remarks[0].text
    assert unchanged(path, frames) == [True] * 8 + [False] * 8


def test_frames_that_are_not_marked_stay_whole_among_others_that_are(
    make_clip, plain: Path, interlaced: Path, tmp_path: Path
):
    path = in_a_row(make_clip, tmp_path, interlaced, plain)
    clip, frames = read(path)
    assert codes(clip) == ["deinterlaced"]
    assert unchanged(path, frames) == [False] * 4 + [True] * 4


def test_lines_of_one_field_are_doubled_alike(interlaced: Path):
    """No line is sharper than the next, as it is where one field is kept and the other made up."""
    for frame in read(interlaced)[1]:
        rows = frame.image.astype(int)
        bends = np.abs(rows[2:] - 2 * rows[1:-1] + rows[:-2]).mean(axis=(1, 2))
        assert bends[::2].mean() == pytest.approx(bends[1::2].mean(), rel=0.03)


def test_oblong_pixels_of_fields_are_made_square_and_their_lines_kept_apart(make_clip):
    graph = f"{SWAYING.format(rate=50)},{FIELDS},setsar=8/9"
    clip, frames = read(make_clip("dv.mp4", *lavfi(graph), *H264, *MARKED))
    assert codes(clip) == ["square-pixels", "deinterlaced"]
    assert {frame.image.shape for frame in frames} == {(270, 320, 3)}
    assert not any(combed(frame.image) for frame in frames)


def test_combs_that_come_late_change_nothing_before(make_clip, plain: Path, unsaid: Path, tmp_path: Path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"file '{plain}'\nfile '{unsaid}'\n")
    path = make_clip("late-combs.mp4", "-f", "concat", "-safe", "0", "-i", listed, *H264)
    clip, frames = read(path)
    assert "from 2.0 s on" in clip.remarks[0].text
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]
    stored = [image for _, image in decode.stream_frames(path, 2.0)]
    assert all(np.array_equal(frame.image, image) for frame, image in zip(frames[:4], stored, strict=False))
    assert not any(combed(frame.image) for frame in frames[4:])


def test_pulldown_is_left_alone(make_clip):
    path = make_clip("film.mp4", *lavfi(f"{SWAYING.format(rate=24)},telecine,setfield=prog"), *H264)
    clip, frames = read(path, fps=10.0)
    assert any(combed(frame.image) for frame in frames)
    assert codes(clip) == []


def test_stripes_are_no_combs_and_are_asked_about_a_few_times(make_clip, monkeypatch):
    graph = "color=gray:size=64x48:rate=10:duration=4,geq=lum='128+60*mod(Y,2)':cb=128:cr=128"
    path = make_clip("stripes.mkv", *lavfi(graph), "-c:v", "ffv1")
    asked = []
    real = interlacing.interlaced
    monkeypatch.setattr(interlacing, "interlaced", lambda *a, **k: asked.append(a) or real(*a, **k))
    clip, frames = read(path)
    assert len(frames) == 8 and all(combed(frame.image) for frame in frames)
    assert codes(clip) == [] and len(asked) == MAX_SUSPICIONS


def test_an_ffmpeg_that_cannot_deinterlace_is_a_remark(interlaced: Path, monkeypatch):
    monkeypatch.setattr(clip_module, "filters", lambda program: frozenset(("scale", "idet")))
    clip, frames = read(interlaced)
    assert codes(clip) == ["interlaced"] and "has no filter named field" in clip.remarks[0].text
    assert len(frames) == 4 and any(combed(frame.image) for frame in frames)


@pytest.mark.parametrize("marked", [False, True])
def test_what_idet_does_not_answer_is_as_the_file_says(
    interlaced: Path, unsaid: Path, monkeypatch, marked: bool
):
    def hang(*given: object, **more: object) -> str:
        raise DecodeError("ffmpeg did not finish")

    path = interlaced if marked else unsaid
    found = Clip(path, SamplingOptions())
    monkeypatch.setattr(decode, "said", hang)
    assert len(list(found.frames("7"))) == 4
    assert codes(found) == (["deinterlaced"] if marked else [])


# Shape and colours


@pytest.mark.parametrize(
    ("shape", "size"), [("2/1", (320, 240)), ("64/45", (228, 240)), ("8/9", (160, 270)), ("1/2", (160, 480))]
)
def test_pixels_are_made_square(make_clip, shape: str, size: tuple[int, int]):
    graph = f"testsrc2=size=160x240:rate=5:duration=1,setsar={shape}"
    path = make_clip(f"shape-{shape.replace('/', '-')}.mp4", *lavfi(graph), *H264)
    clip, frames = read(path)
    assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}
    assert codes(clip) == ["square-pixels"] and shape.replace("/", ":") in clip.remarks[0].text
    stored = next(decode.stream_frames(path, 1.0))[1]
    width, height = size
    columns = np.arange(0, width, width // 8) * 160 // width
    rows = np.arange(0, height, height // 8) * 240 // height
    shown = frames[0].image[:: height // 8, :: width // 8][: len(rows), : len(columns)]
    assert np.median(np.abs(shown.astype(int) - stored[rows][:, columns])) < 8


@pytest.mark.parametrize("stored", ["yuv420p", "yuv444p"])
def test_a_stretched_clip_looks_like_one_that_was_stored_so(make_clip, stored: str):
    graph = f"testsrc2=size=160x240:rate=5:duration=1,format={stored}"
    oblong = make_clip(f"oblong-{stored}.mkv", *lavfi(f"{graph},setsar=2/1"), "-c:v", "ffv1")
    wide = make_clip(f"wide-{stored}.mkv", *lavfi(f"{graph},scale=320:240,setsar=1"), "-c:v", "ffv1")
    for one, other in zip(read(oblong)[1], read(wide)[1], strict=True):
        assert np.array_equal(one.image, other.image)


def test_turned_pixels_are_made_square_the_right_way(make_clip):
    graph = "testsrc2=size=160x240:rate=5:duration=1,setsar=2/1"
    stored = make_clip("to-turn.mp4", *lavfi(graph), *H264)
    path = make_clip("turned-oblong.mp4", "-display_rotation", "90", "-i", stored, "-c", "copy")
    assert {frame.image.shape for frame in read(path)[1]} == {(320, 240, 3)}


def test_pixels_that_cannot_be_are_taken_for_square(make_clip):
    path = make_clip(
        "shape-lie.mkv", *lavfi("testsrc2=size=64x48:rate=5:duration=1,setsar=20/1"), "-c:v", "ffv1"
    )
    clip, frames = read(path)
    assert codes(clip) == ["pixel-shape"]
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


@pytest.fixture(scope="module")
def hdr(make_clip):
    def make(transfer: str) -> Path:
        source = "tin=bt709:min=bt709:pin=bt709:rin=tv"
        graph = f"zscale={source}:t={transfer}:m=bt2020nc:p=bt2020:r=tv:npl=203,format=yuv420p10le"
        told = f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited"
        colours = lavfi(
            "testsrc2=size=160x120:rate=5:duration=1,eq=contrast=0.5:saturation=0.5,format=yuv420p"
        )
        how = ("-c:v", "libx265", "-crf", "8", "-x265-params", told)
        return make_clip(f"{transfer}.mp4", *colours, "-vf", graph, *how)

    return make


@pytest.fixture(scope="module")
def sdr(make_clip) -> np.ndarray:
    colours = lavfi("testsrc2=size=160x120:rate=5:duration=1,eq=contrast=0.5:saturation=0.5,format=yuv420p")
    told = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    path = make_clip("sdr.mkv", *colours, "-vf", "setparams=colorspace=bt709", "-c:v", "ffv1", *told)
    return read(path)[1][0].image


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_mapped_to_what_it_was_made_of(hdr, sdr: np.ndarray, transfer: str, name: str):
    clip, frames = read(hdr(transfer))
    assert codes(clip) == ["tone-mapped"] and f"HDR ({name})" in clip.remarks[0].text
    stored = next(decode.stream_frames(hdr(transfer), 1.0))[1]
    assert difference(frames[0].image, sdr) < 10 < 20 < difference(stored, sdr)


def test_hdr_that_this_ffmpeg_cannot_map_is_a_remark(hdr, monkeypatch):
    monkeypatch.setattr(presentation, "filters", lambda program: frozenset(("scale", "tonemap")))
    clip, frames = read(hdr("smpte2084"))
    assert codes(clip) == ["hdr-colours"] and "no zscale" in clip.remarks[0].text
    assert np.array_equal(frames[0].image, next(decode.stream_frames(hdr("smpte2084"), 1.0))[1])


def with_clap(path: Path, target: Path, width: int, height: int) -> Path:
    """A copy of an MP4 whose index comes last, with a rectangle amid its frames (ISO 14496-12)."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"avc1", content.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", content, entry)[0]
    clap = struct.pack(">I4s8I", 40, b"clap", width, 1, height, 1, 0, 1, 0, 1)
    for kind in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = content.rindex(kind, 0, entry + 8) - 4
        struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + len(clap))
    content[end:end] = clap
    target.write_bytes(content)
    return target


def test_clap_cuts_the_border_off(make_clip, tmp_path: Path):
    graph = "color=red:size=96x64:rate=5:duration=1,pad=160:128:32:32:white"
    path = with_clap(make_clip("border.mp4", *lavfi(graph), *H264), tmp_path / "clap.mp4", 96, 64)
    assert has_clap(path) and not has_clap(make_clip("border.mp4", *lavfi(graph), *H264))
    if not crops(decode.find_program()):
        assert codes(read(path)[0]) == ["not-cropped"]
        pytest.skip("this ffmpeg is older than 7.1, which crops first")
    (frame, *_) = read(path)[1]
    assert frame.image.shape == (64, 96, 3)
    assert frame.image[..., 1].max() < 60


def test_an_ffmpeg_that_cannot_crop_is_a_remark(make_clip, plain: Path, tmp_path: Path, monkeypatch):
    path = with_clap(plain, tmp_path / "clap.mp4", 96, 64)
    monkeypatch.setattr(clip_module, "crops", lambda program: False)
    assert codes(read(path)[0]) == ["not-cropped"] and codes(read(plain)[0]) == []


@pytest.mark.parametrize("size", [0, 1, 7, 8, 2**31])
def test_damaged_boxes_are_no_clap(plain: Path, tmp_path: Path, size: int):
    path = tmp_path / "damaged.mp4"
    for place in range(0, 64, 3):
        content = bytearray(plain.read_bytes())
        struct.pack_into(">I", content, place, size)
        path.write_bytes(content)
        assert not has_clap(path)


# Streams


@pytest.fixture(scope="module")
def two_streams(make_clip) -> Path:
    graphs = (lavfi(f"color={colour}:size=64x48:rate=10:duration=2") for colour in ("red", "blue"))
    inputs = tuple(part for graph in graphs for part in graph)
    return make_clip("two-streams.mp4", *inputs, "-map", "0", "-map", "1", *H264)


def test_every_moving_stream_is_looked_at(two_streams: Path):
    clip, frames = read(two_streams)
    assert codes(clip) == ["streams"] and "0 (H.264, 64x48), 1 (H.264, 64x48)" in clip.remarks[0].text
    assert [frame.stream for frame in frames] == [0] * 4 + [1] * 4
    assert [frame.index for frame in frames] == list(range(8))
    assert times(frames) == [0.0, 0.5, 1.0, 1.5] * 2
    assert frames[0].image[0, 0].argmax() == 0 and frames[-1].image[0, 0].argmax() == 2


def test_one_stream_alone_is_looked_at_if_it_is_asked_for(two_streams: Path):
    clip, frames = read(two_streams, stream=1)
    assert codes(clip) == ["streams-left-out"] and "Stream 1 alone" in clip.remarks[0].text
    assert {frame.stream for frame in frames} == {1} and len(frames) == 4
    assert frames[0].image[0, 0].argmax() == 2
    with pytest.raises(SourceError, match="has no video stream 5: give one of 0, 1 with --stream"):
        read(two_streams, stream=5)
    with pytest.raises(UsageError, match="--stream -1"):
        SamplingOptions(stream=-1)


def test_a_picture_among_moving_streams_is_a_cover(make_clip):
    inputs = (
        *lavfi("color=red:size=64x48:rate=10:duration=0.1"),
        *lavfi("testsrc=size=64x48:rate=10:duration=2"),
    )
    how = ("-map", "0", "-map", "1", "-c:v:0", "mjpeg", "-c:v:1", "libx264")
    clip, frames = read(make_clip("cover-first.mkv", *inputs, *how))
    assert codes(clip) == ["cover"] and "Stream 0 is a single picture" in clip.remarks[0].text
    assert {frame.stream for frame in frames} == {1} and len(frames) == 4


def test_a_picture_alone_is_looked_at(make_clip):
    path = make_clip("alone.mkv", *lavfi("color=red:size=64x48:rate=10:duration=0.1"), "-c:v", "mjpeg")
    clip, frames = read(path)
    assert codes(clip) == [] and len(frames) == 1


def test_a_file_of_very_many_streams_is_looked_at_in_part_and_says_so(make_clip):
    graph = lavfi("testsrc=size=32x32:rate=5:duration=0.4")
    path = make_clip("many.mkv", *graph, *("-map", "0") * (MAX_STREAMS + 3), "-c:v", "mpeg4")
    clip, frames = read(path)
    assert (
        codes(clip) == ["streams-left-out", "streams"] and "Of its 11 video streams" in clip.remarks[0].text
    )
    assert {frame.stream for frame in frames} == set(range(MAX_STREAMS))


def ts_without_keyframe(make_clip, tmp_path: Path) -> Path:
    graph = lavfi("testsrc2=size=160x120:rate=25:duration=4")
    sound = lavfi("sine=duration=4")
    how = ("-c:v", "libx264", "-g", "1000", "-bf", "0", "-c:a", "aac")
    whole = make_clip("one-keyframe.ts", *graph, *sound, *how).read_bytes()
    path = tmp_path / "tail.ts"
    path.write_bytes(whole[len(whole) // 2 // 188 * 188 :])
    return path


def test_a_stream_without_a_keyframe_is_named(make_clip, tmp_path: Path):
    path = ts_without_keyframe(make_clip, tmp_path)
    with pytest.raises(DecodeError, match=r"tail\.ts: its H\.264 stream has no frame that can be decoded"):
        read(path)


# The clock


def halves(make_clip, suffix: str, codec: tuple[str, ...]) -> list[Path]:
    """A grey clip of 3 s and one of 2 s, of luma 40 and 180 alone."""
    return [
        make_clip(
            f"part-{luma}{suffix}",
            *lavfi(f"color=black:size=64x48:rate=10:duration={seconds},geq=lum={luma}:cb=128:cr=128"),
            *codec,
        )
        for luma, seconds in ((40, 3), (180, 2))
    ]


def joined(parts: list[Path], path: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.fixture
def joined_webm(make_clip, tmp_path: Path) -> Path:
    return joined(halves(make_clip, ".webm", ("-c:v", "libvpx")), tmp_path / "joined.webm")


@pytest.fixture
def joined_ts(make_clip, tmp_path: Path) -> Path:
    return joined(halves(make_clip, ".ts", ("-c:v", "mpeg2video")), tmp_path / "joined.ts")


def test_a_clock_that_goes_back_loses_nothing(joined_webm: Path):
    clip, frames = read(joined_webm)
    assert times(frames) == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5], abs=0.02)
    assert codes(clip) == ["clock-goes-back"] and "goes back at 3.0 s" in clip.remarks[0].text
    assert clip.duration_s == pytest.approx(5.0, abs=0.1)
    assert [bool(frame.image.mean() > 100) for frame in frames] == [False] * 6 + [True] * 4


def test_recordings_of_unknown_length_are_joined_as_well(make_clip, tmp_path: Path):
    """As a browser's recorder leaves them: a pipe, in which nothing can be written afterwards."""
    parts = halves(make_clip, ".webm", ("-c:v", "libvpx"))
    live = [make_clip(f"live-{part.name}", "-i", part, "-c", "copy", "-live", "1") for part in parts]
    path = joined(live, tmp_path / "live.webm")
    clip, frames = read(path)
    assert len(frames) == 10 and codes(clip) == ["clock-goes-back"]
    assert clip.duration_s == pytest.approx(5.0, abs=0.2)
    clip, frames = read(path, frames=2)
    assert frames[-1].image.mean() > 100


@pytest.mark.parametrize("count", [3, 8])
def test_frames_are_spread_over_both_parts(joined_webm: Path, joined_ts: Path, count: int):
    for path in (joined_webm, joined_ts):
        clip, frames = read(path, frames=count)
        assert clip.duration_s == pytest.approx(5.0, abs=0.15)
        assert count <= len(frames) <= count + (path == joined_webm)
        late = [frame for frame in frames if frame.time_s > 2.95]
        assert late and all(frame.image.mean() > 100 for frame in late)
        assert max(times(frames)) >= 5.0 - 5.0 / count - 0.15


def test_joined_transport_streams_have_their_whole_length(joined_ts: Path):
    clip, frames = read(joined_ts)
    assert clip.duration_s == pytest.approx(5.0, abs=0.15) and codes(clip) == ["length"]
    assert len(frames) >= 10


def test_a_counter_that_wraps_loses_nothing(make_clip):
    """The clock of a transport stream has 33 bits, 26.5 hours at 90 kHz; this one wraps after 3.7 s."""
    graph = lavfi("testsrc2=size=64x48:rate=10:duration=10")
    path = make_clip("wraps.ts", *graph, *H264, "-muxdelay", "0", "-output_ts_offset", "95440")
    for options, expected in (({}, 20), ({"frames": 4}, 4)):
        clip, frames = read(path, **options)
        assert clip.duration_s == pytest.approx(10.0, abs=0.2) and codes(clip) == []
        step = 10 / expected
        assert times(frames) == pytest.approx([number * step for number in range(expected)], abs=0.11)


@pytest.mark.parametrize("offset", ["5", "-1", "0"])
def test_a_start_that_is_not_zero_is_no_part_of_the_length(make_clip, offset: str):
    graph = lavfi("testsrc=size=64x48:rate=10:duration=6")
    path = make_clip(f"offset{offset}.mkv", *graph, *H264, "-bf", "0", "-output_ts_offset", offset)
    clip, frames = read(path)
    assert clip.duration_s == pytest.approx(6.0, abs=0.15) and codes(clip) == []
    assert times(frames) == pytest.approx([number / 2 for number in range(12)], abs=0.11)
    assert times(read(path, frames=4)[1]) == pytest.approx([0, 1.5, 3, 4.5], abs=0.11)


def test_matroska_files_are_told_apart(make_clip, joined_webm: Path, plain: Path, tmp_path: Path):
    assert is_joined_matroska(joined_webm)
    assert not is_joined_matroska(halves(make_clip, ".webm", ("-c:v", "libvpx"))[0])
    assert not is_joined_matroska(plain)
    cut = tmp_path / "cut.webm"
    for length in (0, 3, 4, 5, 9, 40, 60):
        cut.write_bytes(joined_webm.read_bytes()[:length])
        assert not is_joined_matroska(cut)


# The end


@pytest.fixture(scope="module")
def faststart(make_clip) -> Path:
    graph = lavfi("testsrc2=size=160x120:rate=25:duration=6")
    return make_clip("front.mp4", *graph, *H264, "-movflags", "+faststart")


@pytest.mark.parametrize("options", [{}, {"frames": 3}])
def test_a_file_that_breaks_off_says_where(faststart: Path, tmp_path: Path, options: dict):
    path = tmp_path / "cut.mp4"
    content = faststart.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    clip, frames = read(path, **options)
    assert codes(clip) == ["breaks-off"]
    said = float(clip.remarks[0].text.split("about ")[1].split(" s")[0])
    assert 2.5 < said < 4.5 and 0 < frames[-1].time_s <= said
    assert codes(read(faststart, **options)[0]) == []


def test_matroska_that_breaks_off_says_so_too(make_clip, tmp_path: Path):
    whole = make_clip("whole.mkv", *lavfi("testsrc2=size=160x120:rate=25:duration=6"), *H264).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    assert codes(read(path)[0]) == ["breaks-off"]


def test_sound_that_goes_on_without_pictures_is_said(make_clip):
    inputs = (*lavfi("testsrc2=size=160x120:rate=10:duration=2"), *lavfi("sine=duration=6"))
    clip, _ = read(make_clip("sound-longer.mp4", *inputs, *H264, "-c:a", "aac"))
    assert codes(clip) == ["pictures-end"] and "although the file goes on to 6.0 s" in clip.remarks[0].text


def test_a_length_that_takes_too_long_to_measure_costs_the_remark_alone(joined_ts: Path, monkeypatch):
    def hang(*given: object) -> decode.Measured:
        raise DecodeError("ffmpeg did not finish")

    monkeypatch.setattr(clip_module.decode, "measure", hang)
    clip, frames = read(joined_ts)
    assert len(frames) >= 10 and clip.duration_s == pytest.approx(5.0, abs=0.6)
