"""The annotated video: where boxes are drawn, and that the clip's frames, times, turn and sound are kept."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidscan.errors import DecodeError, UsageError, VidscanError
from vidscan.media.combs import combed
from vidscan.media.ffmpeg import decode, redraw
from vidscan.media.ffmpeg import program as ffmpeg_program
from vidscan.media.ffmpeg.decode import find_program, stream_frames
from vidscan.options import ScanOptions, VerdictOptions
from vidscan.records import (
    Box,
    Label,
    ModelCard,
    Remark,
    Report,
    Segment,
    Source,
    SourceKind,
    Stats,
    Status,
    TimelineFace,
    TimelinePoint,
    Track,
    Verdict,
)
from vidscan.render.annotate import annotate, check_name, of_stream
from vidscan.render.interpolation import DrawnFaces
from vidscan.render.painter import Painter, _scored, strip_height, text_size
from vidscan.system.processes import memory_limit

CARD = ModelCard("toy", "none", 16, fake_threshold=0.7, real_threshold=0.3)
FAKE, REAL, UNCERTAIN = (229, 72, 66), (63, 185, 105), (232, 179, 57)
GREY = (150, 155, 162)


def report(
    path: Path, moments: Sequence[tuple[float, Box, float | None]], duration_s: float, track: int = 1
) -> Report:
    points = tuple(
        TimelinePoint(time_s, score, (TimelineFace(track, box, 0.9, score),))
        for time_s, box, score in moments
    )
    return Report(
        source=Source("0", path, SourceKind.VIDEO),
        status=Status.OK,
        verdict=Verdict(Label.FAKE, 0.9, 0.9, "so it is")
        if points
        else Verdict(Label.NO_FACE, None, None, "none"),
        tracks=(Track(track, 0.0, duration_s, len(points), 0.9),) if points else (),
        timeline=points,
        segments=(Segment(0.0, duration_s / 2, 0.9, track),) if points else (),
        stats=Stats(duration_s, len(points), len(points)),
        options=ScanOptions().to_report(),
        model_card=CARD,
    )


def moving(scores: Sequence[float | None], step_s: float = 0.5) -> list[tuple[float, Box, float | None]]:
    """A face that moves 20 pixels to the right at each look."""
    return [(i * step_s, Box(10.0 + 20 * i, 12.0, 30.0, 24.0), score) for i, score in enumerate(scores)]


# Where the boxes are


def at(sightings: DrawnFaces, time_s: float):
    (found,) = sightings.at(time_s)
    return found


def test_boxes_move_straight_between_looks_and_scores_jump():
    seen = DrawnFaces.of(report(Path("a.mp4"), moving([0.1, 0.9, 0.5]), 1.5))
    assert seen.step_s == 0.5
    assert at(seen, 0.0).box == Box(10, 12, 30, 24)
    assert at(seen, 0.2).box.x == pytest.approx(18)
    assert [at(seen, time_s).fake_probability for time_s in (0.2, 0.3, 0.5, 0.74, 0.76)] == [
        0.1,
        0.9,
        0.9,
        0.9,
        0.5,
    ]


def test_a_face_is_held_to_the_end_of_the_clip_but_not_past_a_look_that_missed_it():
    seen = DrawnFaces.of(report(Path("a.mp4"), moving([0.1, 0.9, 0.5]), 1.5))
    assert at(seen, 1.45).box.x == 50
    moments = moving([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    seen = DrawnFaces.of(report(Path("a.mp4"), moments[:2] + moments[4:], 3.0))
    assert at(seen, 0.74).fake_probability == 0.2
    assert seen.at(0.76) == seen.at(1.2) == []
    assert at(seen, 1.76).fake_probability == 0.5
    assert [len(stretch) for stretch in seen.stretches(1)] == [2, 2]


def test_a_single_look_lasts_a_step():
    seen = DrawnFaces.of(report(Path("a.mp4"), moving([0.4]), 10.0))
    assert len(seen.at(0.2)) == 1 and seen.at(0.3) == []


# What is drawn


def has_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(axis=-1) <= 2).any())


def drawn(
    time_s: float, width: int = 320, height: int = 240, scores: Sequence[float | None] = (0.9, 0.1, 0.5)
):
    painter = Painter(report(Path("a.mp4"), moving(scores), 1.5), width, height, (0.7, 0.3))
    canvas = np.full((height + strip_height(width, height), width, 3), 128, np.uint8)
    painter.draw(time_s, canvas)
    return canvas[:height], canvas[height:]


@pytest.mark.parametrize(("time_s", "colour"), [(0.0, FAKE), (0.5, REAL), (1.0, UNCERTAIN)])
def test_boxes_have_the_colour_of_what_the_score_says(time_s: float, colour):
    frame, _ = drawn(time_s)
    others = {FAKE, REAL, UNCERTAIN} - {colour}
    assert has_colour(frame, colour) and not any(has_colour(frame, other) for other in others)
    left = round(10 + 40 * time_s)
    assert has_colour(frame[20:30, left - 1 : left + 2], colour)
    assert np.all(frame[150:] == 128), "the rest of the picture is left alone"


def test_the_strip_has_a_cursor_at_the_time():
    strips = {time_s: drawn(time_s)[1].astype(int) for time_s in (0.0, 0.75, 1.5)}
    middle = strip_height(320, 240) // 2
    brightest = {time_s: int(strip[middle].sum(axis=-1).argmax()) for time_s, strip in strips.items()}
    assert brightest[0.0] < brightest[0.75] < brightest[1.5]
    assert brightest[0.75] == pytest.approx((brightest[0.0] + brightest[1.5]) / 2, abs=2)
    assert all(has_colour(strip, FAKE) for strip in strips.values())


def edge_width(score: float | None, colour: tuple[int, int, int]) -> int:
    """How many pixels of a large box's left edge have this colour."""
    painter = Painter(
        report(Path("a.mp4"), [(0.0, Box(100, 200, 400, 300), score)], 1.0), 1280, 960, (0.7, 0.3)
    )
    canvas = np.full((960 + strip_height(1280, 960), 1280, 3), 250, np.uint8)
    painter.draw(0.0, canvas)
    return int((np.abs(canvas[400, 80:120].astype(int) - colour).max(axis=-1) <= 2).sum())


def test_a_face_that_was_not_judged_has_a_thin_grey_box_and_no_score():
    frame, strip = drawn(0.0, scores=(None, 0.9, 0.9))
    assert has_colour(frame, GREY)
    assert not any(has_colour(frame, colour) for colour in (FAKE, REAL, UNCERTAIN))
    assert has_colour(strip, FAKE), "the scores that follow are drawn"
    assert 0 < edge_width(None, GREY) < edge_width(0.9, FAKE)


def test_scores_are_drawn_in_pieces_around_what_was_not_judged():
    painter = Painter(
        report(Path("a.mp4"), moving((0.9, 0.8, None, 0.9, None, None, 0.2)), 3.5), 64, 48, (0.7, 0.3)
    )
    assert [_scored(stretch) for stretch in painter._faces.stretches(1)] == [
        [[(0.0, 0.9), (0.5, 0.8)], [(1.5, 0.9)], [(3.0, 0.2)]]
    ]


def test_a_clip_without_any_score_is_annotated_and_says_so():
    made = report(Path("a.mp4"), moving((None, None)), 1.0)
    unsure = replace(made, verdict=Verdict(Label.UNCERTAIN, None, None, "too small"), segments=())
    painter = Painter(unsure, 320, 240, (0.7, 0.3))
    assert painter._headline() == "UNCERTAIN  not judged"
    canvas = np.full((240 + strip_height(320, 240), 320, 3), 128, np.uint8)
    painter.draw(0.5, canvas)
    assert has_colour(canvas[:240], GREY)
    nobody = Painter(report(Path("a.mp4"), [], 1.0), 320, 240, (0.7, 0.3))
    assert nobody._headline() == "NO FACE"


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (49, 101), (1920, 1080), (1080, 1920)])
def test_any_size_can_be_drawn_on_and_text_grows_with_it(size: tuple[int, int]):
    frame, strip = drawn(0.6, *size)
    assert has_colour(frame, REAL) or size == (16, 16)
    assert (len(frame) + len(strip)) % 2 == 0
    assert 9 <= text_size(*size) <= 49


def test_boxes_far_outside_do_no_harm():
    moments = [(0.0, Box(-1e9, -5.0, 2e9, 1e9), 0.9), (0.5, Box(1e9, 1e9, 5.0, 5.0), 0.9)]
    painter = Painter(report(Path("a.mp4"), moments, 1.0), 64, 48, (0.7, 0.3))
    canvas = np.zeros((48 + strip_height(64, 48), 64, 3), np.uint8)
    for time_s in (0.0, 0.3, 0.6):
        painter.draw(time_s, canvas)


# The file


def ffmpeg_says(path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [find_program(), "-hide_banner", "-nostdin", "-i", str(path), *arguments, "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60)


def frame_times(path: Path) -> list[str]:
    """Every frame's time by ffmpeg's own showinfo, as it prints it."""
    said = ffmpeg_says(path, "-map", "0:V:0", "-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null")
    return re.findall(r"pts_time: *(\S+)", said.stderr.decode())


def sound(path: Path) -> bytes:
    """The first sound track, decoded, 8 kHz mono."""
    return ffmpeg_says(path, "-map", "0:a:0", "-ac", "1", "-ar", "8000", "-f", "s16le").stdout


AUDIO = ("-f", "lavfi", "-i", "sine=440:duration=2")
TESTSRC = "testsrc=size=96x64:rate=30000/1001:duration=2"


@pytest.fixture
def turned_clip(make_clip) -> Path:
    """A variable frame rate that starts late, sound, and a picture stored lying on its side."""
    dropped = f"{TESTSRC},select='not(mod(n,3))+gt(n,30)'"
    mpeg4 = ("-c:v", "mpeg4", "-q:v", "2", "-fps_mode", "vfr", "-c:a", "aac")
    lying = make_clip("lying.mp4", "-itsoffset", "0.2", "-f", "lavfi", "-i", dropped, *AUDIO, *mpeg4)
    # As an input option it must come before -i, which make_clip's caller decides.
    return make_clip("turned.mp4", "-display_rotation", "90", "-i", lying, "-c", "copy")


def upright(path: Path) -> tuple[int, int]:
    height, width = next(iter(stream_frames(path, 1.0)))[1].shape[:2]
    return width, height


def test_frames_times_turn_and_sound_are_the_sources(turned_clip: Path, tmp_path: Path):
    target = tmp_path / "out ü.mp4"
    reached: list[float] = []
    codec = annotate(report(turned_clip, moving([0.9, 0.2]), 2.2), target, VerdictOptions(), reached.append)
    assert codec.plays
    before, after = frame_times(turned_clip), frame_times(target)
    assert len(before) > 30 and float(before[0]) == pytest.approx(0.2, abs=0.01)
    assert [float(time) for time in after] == pytest.approx([float(time) for time in before], abs=1e-4)
    assert reached == pytest.approx([float(time) for time in before], abs=1e-4)
    assert sound(target) == sound(turned_clip) != b""
    width, height = upright(turned_clip)
    assert (width, height) == (64, 96), "the fixture lies on its side"
    assert upright(target) == (width, height + strip_height(width, height))
    durations = [decode.probe(path).duration_s for path in (turned_clip, target)]
    assert durations[0] == pytest.approx(durations[1], abs=1 / 29)
    (_, first), (_, original) = (next(iter(stream_frames(path, 1.0))) for path in (target, turned_clip))
    # Left of and below the box the picture is the source's own.
    below_box = np.abs(first[60:96, :].astype(int) - original[60:96, :])
    assert np.median(below_box) < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name]


def words_about(clip: Path) -> str:
    asked = subprocess.run([find_program(), "-i", str(clip)], capture_output=True, text=True, check=False)
    return asked.stderr


def test_video_is_h264_that_browsers_play_where_ffmpeg_can(bright_clip: Path, tmp_path: Path):
    if redraw.best_codec(find_program()).encoder != "libx264":
        pytest.skip("this ffmpeg has no libx264")
    annotate(report(bright_clip, [], 2.0), tmp_path / "out.mp4", VerdictOptions())
    assert re.search(r"Video: h264 .*yuv420p\(tv, bt709", words_about(tmp_path / "out.mp4"))


def test_without_h264_the_next_best_is_taken_and_named(bright_clip: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(redraw, "best_codec", lambda program: redraw.CODECS[-1])
    codec = annotate(report(bright_clip, moving([0.5]), 2.0), tmp_path / "out.mp4", VerdictOptions())
    assert not codec.plays and "MPEG-4" in codec.name
    assert decode.probe(tmp_path / "out.mp4").codec == "mpeg4"


def test_codecs_are_those_ffmpeg_lists(monkeypatch):
    redraw.best_codec.cache_clear()
    listed = " V....D libvpx-vp9  VP9\n A....D libx264  no video\n"
    monkeypatch.setattr(redraw, "answer", lambda program, *_: listed)
    assert redraw.best_codec("some ffmpeg").name == "VP9"
    redraw.best_codec.cache_clear()


def test_sound_that_mp4_or_browsers_do_not_take_is_encoded_anew(make_clip, tmp_path: Path):
    clip = make_clip("pcm.mkv", "-f", "lavfi", "-i", TESTSRC, *AUDIO, "-c:v", "mpeg4", "-c:a", "pcm_s16le")
    annotate(report(clip, [], 2.0), tmp_path / "out.mp4", VerdictOptions())
    assert (decode.probe(clip).sound, decode.probe(tmp_path / "out.mp4").sound) == (("pcm_s16le",), ("aac",))
    assert len(sound(tmp_path / "out.mp4")) == pytest.approx(len(sound(clip)), rel=0.05)
    assert len(frame_times(tmp_path / "out.mp4")) == len(frame_times(clip)) == 60


def test_odd_sizes_get_a_column(make_clip, tmp_path: Path):
    clip = make_clip(
        "odd-sides.mkv", "-f", "lavfi", "-i", "testsrc=size=97x65:rate=10:duration=1", "-c:v", "ffv1"
    )
    annotate(report(clip, moving([0.5]), 1.0), tmp_path / "out.mp4", VerdictOptions())
    assert upright(tmp_path / "out.mp4") == (98, 65 + strip_height(97, 65))


def test_what_cannot_be_written_leaves_nothing_behind_and_says_so(
    bright_clip: Path, text_as_clip, tmp_path: Path
):
    target = tmp_path / "there" / "out.mp4"
    target.parent.mkdir()
    target.write_bytes(b"the previous one")
    with pytest.raises(DecodeError, match=r"text\.mp4"):
        annotate(report(text_as_clip, [], 2.0), target, VerdictOptions())
    with pytest.raises(
        VidscanError, match=r"bright\.mp4: its annotated video could not be written .*make room"
    ):
        annotate(report(bright_clip, [], 2.0), tmp_path / "absent" / "out.mp4", VerdictOptions())
    assert target.read_bytes() == b"the previous one"
    assert [path.name for path in target.parent.iterdir()] == ["out.mp4"]


def test_a_video_cut_short_by_a_full_disk_is_an_error_though_ffmpeg_ends_with_0(
    bright_clip: Path, tmp_path: Path, monkeypatch
):
    """As ffmpeg 5.1 does where its index no longer fits on the disk."""
    writing = redraw._writing

    def cut_short(source: Path, target: Path, first_s: float) -> list[str]:
        command, name = shlex.join(writing(source, target, first_s)), shlex.quote(str(target))
        shorter = f"head -c $(( $(wc -c < {name}) * 6 / 10 )) {name} > {name}.cut; mv {name}.cut {name}"
        return ["sh", "-c", f"{command}; {shorter}; exit 0"]

    monkeypatch.setattr(redraw, "_writing", cut_short)
    target = tmp_path / "out.mp4"
    target.write_bytes(b"the previous one")
    with pytest.raises(VidscanError, match=r"could not be written \(\d+ of 20 frames arrived; .*make room"):
        annotate(report(bright_clip, [], 2.0), target, VerdictOptions())
    assert target.read_bytes() == b"the previous one"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_frames_are_drawn_on_as_they_were_looked_at(make_clip, tmp_path: Path):
    """Oblong pixels are made square, and of two streams the first that moves is shown."""
    graphs = (
        "color=red:size=64x48:rate=10:duration=0.1",
        "color=blue:size=64x48:rate=10:duration=1,setsar=2/1",
    )
    inputs = tuple(part for graph in graphs for part in ("-f", "lavfi", "-i", graph))
    clip = make_clip("cover-and-oblong.mkv", *inputs, "-map", "0", "-map", "1", "-c:v", "ffv1")
    annotate(report(clip, [], 1.0), tmp_path / "out.mp4", VerdictOptions())
    assert upright(tmp_path / "out.mp4") == (128, 48 + strip_height(128, 48))
    frames = [image for _, image in stream_frames(tmp_path / "out.mp4", 10.0)]
    assert len(frames) == 10 and all(frame[:40, :, 2].mean() > 200 for frame in frames)


def test_a_clip_whose_clock_goes_back_is_annotated_to_its_end(make_clip, tmp_path: Path):
    part = make_clip(
        "part.webm", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=2", "-c:v", "libvpx"
    )
    clip = tmp_path / "joined.webm"
    clip.write_bytes(2 * part.read_bytes())
    annotate(report(clip, moving([0.5] * 8), 4.0), tmp_path / "out.mp4", VerdictOptions())
    assert decode.probe(tmp_path / "out.mp4").duration_s == pytest.approx(4.0, abs=0.2)


def test_only_people_of_the_stream_shown_are_drawn(bright_clip: Path):
    whole = report(bright_clip, moving([0.9, 0.8]), 1.0)
    first = whole.tracks[0]
    assert of_stream(whole, first.stream) == whole
    other = of_stream(whole, first.stream + 1)
    assert (other.tracks, other.timeline) == ((), ())


def test_an_interlaced_clip_is_drawn_on_as_it_was_looked_at(make_clip, tmp_path: Path):
    graph = "testsrc2=size=384x240:rate=50:duration=1,crop=320:240:32+32*sin(2*PI*t):0,tinterlace=4"
    how = ("-c:v", "libx264", "-crf", "12", "-flags", "+ildct+ilme", "-x264-params", "tff=1")
    clip = make_clip("drawn-fields.mp4", "-f", "lavfi", "-i", graph, *how, "-pix_fmt", "yuv420p")
    assert any(combed(image) for _, image in stream_frames(clip, 5.0))
    told = replace(report(clip, [], 1.0), remarks=(Remark("deinterlaced", "It was."),))
    annotate(told, tmp_path / "out.mp4", VerdictOptions())
    drawn = [image[:240] for _, image in stream_frames(tmp_path / "out.mp4", 5.0)]
    assert len(drawn) == 5 and not any(combed(image) for image in drawn)


def test_an_error_while_drawing_ends_both_processes(bright_clip: Path, tmp_path: Path):
    def broken(time_s: float, picture: np.ndarray) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        redraw.redraw(bright_clip, tmp_path / "o.mp4", size=(64, 48), below=72, first_s=0.0, draw=broken)


def test_a_decoder_that_crashes_leaves_no_video_that_seems_whole(
    bright_clip: Path, tmp_path: Path, monkeypatch
):
    reading = redraw._reading

    def crashing(*arguments) -> list[str]:
        return ["sh", "-c", f"{shlex.join(reading(*arguments))} | head -c 60000; kill -SEGV $$"]

    monkeypatch.setattr(redraw, "_reading", crashing)
    with pytest.raises(DecodeError, match=r"bright\.mp4: ffmpeg crashed \(signal 11\) after [1-9]"):
        redraw.redraw(
            bright_clip, tmp_path / "o.mp4", size=(64, 48), below=72, first_s=0.0, draw=lambda *_: None
        )


def test_annotating_is_held_to_the_limits_of_a_scan(bright_clip: Path, tmp_path: Path, monkeypatch):
    started: list[tuple[int | None, bool]] = []
    real = ffmpeg_program.Child

    def noted(command, **how):
        child = real(command, **how)
        started.append((how["memory"], os.getpgid(child.pid) == child.pid))
        return child

    monkeypatch.setattr(ffmpeg_program, "Child", noted)
    annotate(report(bright_clip, [], 2.0), tmp_path / "out.mp4", VerdictOptions())
    assert len(started) >= 2
    assert set(started) == {(memory_limit(), True)}


def test_a_standstill_is_ended(bright_clip: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(redraw, "STALL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(redraw, "_reading", lambda *_: ["sleep", "30"])
    monkeypatch.setattr(redraw, "_writing", lambda *_: ["sleep", "30"])
    with pytest.raises(VidscanError, match="stood still"):
        redraw.redraw(
            bright_clip, tmp_path / "o.mp4", size=(64, 48), below=72, first_s=0.0, draw=lambda *_: None
        )


def test_only_mp4_is_written():
    check_name(Path("a.MP4"))
    with pytest.raises(UsageError, match=r"end in \.mp4"):
        check_name(Path("a.avi"))


@pytest.mark.data
def test_a_real_clip_keeps_its_frames(research_clips: Path, tmp_path: Path):
    clip = research_clips / "real" / "044.mp4"
    annotate(report(clip, moving([0.9] * 10), 11.0), tmp_path / "out.mp4", VerdictOptions())
    assert frame_times(tmp_path / "out.mp4") == frame_times(clip)
    before, after = (decode.probe(path).duration_s for path in (clip, tmp_path / "out.mp4"))
    assert before == pytest.approx(after, abs=1 / 24)
