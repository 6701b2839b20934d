"""Finding the program, reading headers, and ending the child process on every way out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_program import fake_ffmpeg

from vidscan.errors import DecodeError, SourceError, VidscanError
from vidscan.media.ffmpeg import decode
from vidscan.media.ffmpeg.command import Look, sampling_command
from vidscan.media.ffmpeg.header import VideoStream
from vidscan.system.processes import GUARDIAN, Child

posix = pytest.mark.skipif(os.name != "posix", reason="needs shell scripts and free file names")


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """The program is looked for once a process; each test here looks anew, and leaves it so."""

    def forget() -> None:
        decode.find_program.cache_clear()
        decode.passthrough_option.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """Every process started during the test but the guardian."""
    started: list[subprocess.Popen] = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if GUARDIAN not in self.args:
                started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return started


def stream_all(path: Path, fps: float = 2.0) -> list:
    return list(decode.stream_frames(path, fps))


def test_variable_names_the_program(monkeypatch: pytest.MonkeyPatch):
    program = decode.find_program()
    decode.find_program.cache_clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("VIDSCAN_FFMPEG", program)
    assert decode.find_program() == program


def test_variable_that_names_nothing_is_an_error_and_no_fallback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIDSCAN_FFMPEG", "/no/such/ffmpeg")
    with pytest.raises(VidscanError, match="VIDSCAN_FFMPEG=/no/such/ffmpeg is no program"):
        decode.find_program()


@posix
def test_path_comes_before_the_embedded_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    on_path = fake_ffmpeg(tmp_path, "true").rename(tmp_path / "ffmpeg")
    monkeypatch.delenv("VIDSCAN_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert decode.find_program() == str(on_path)


def test_embedded_program_serves_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VIDSCAN_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "imageio_ffmpeg" in decode.find_program()


@pytest.mark.parametrize(
    ("version", "option"),
    [
        ("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright", "vsync"),
        ("ffmpeg version 5.0.1 Copyright", "vsync"),
        ("ffmpeg version 5.1.6-0+deb12u1 Copyright", "fps_mode"),
        ("ffmpeg version n9.0.2-17-g2a571b6068 Copyright", "fps_mode"),
        ("ffmpeg version N-118448-g43be8d0728 Copyright", "fps_mode"),
    ],
)
def test_option_that_keeps_times_suits_the_version(monkeypatch, version: str, option: str):
    monkeypatch.setattr(Child, "communicate", lambda *_: (version.encode(), b""))
    assert decode.passthrough_option("true") == {option: "passthrough"}


def test_probe(clip: Path):
    video = VideoStream(0, "mpeg4", 64, 48)
    found = decode.probe(clip)
    assert found == decode.MediaInfo(2.0, "mpeg4", 64, 48, (), (video,), "mov,mp4,m4a,3gp,3g2,mj2")


def test_header_is_not_read_out_of_the_name(clip: Path, tmp_path: Path):
    named = tmp_path / "Duration: 09:00:00.00 Stream #0:0: Video: bogus, 9x9.mp4"
    shutil.copy(clip, named)
    assert decode.probe(named) == decode.probe(clip)


def test_audio_alone(make_clip):
    path = make_clip("audio.mp4", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
    with pytest.raises(SourceError, match="audio but no video") as caught:
        decode.probe(path)
    assert not isinstance(caught.value, DecodeError)


def test_cover_of_a_song_is_no_video(make_clip, clip: Path):
    both = ("-f", "lavfi", "-i", "sine=duration=1", "-i", clip, "-map", "0:a", "-map", "1:v")
    cover = ("-frames:v", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", "-c:a", "aac")
    song = make_clip("song.m4a", *both, *cover)
    with pytest.raises(SourceError, match="audio but no video"):
        decode.probe(song)
    with pytest.raises(DecodeError):
        stream_all(song)


def one_line(error: BaseException, path: Path) -> bool:
    return str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_text_named_mp4(text_as_clip: Path):
    for read in (decode.probe, stream_all):
        with pytest.raises(DecodeError, match="moov atom not found") as caught:
            read(text_as_clip)
        assert one_line(caught.value, text_as_clip)


def test_mp4_whose_end_is_missing(clip: Path, tmp_path: Path):
    """An MP4's index lies at its end, so that not one frame can be found without it."""
    path = tmp_path / "cut.mp4"
    content = clip.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    for read in (decode.probe, stream_all):
        with pytest.raises(DecodeError) as caught:
            read(path)
        assert one_line(caught.value, path)


def test_clip_that_breaks_off_gives_the_frames_before(make_clip, tmp_path: Path):
    source = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=4")
    whole = make_clip("long.mkv", *source, "-c:v", "ffv1", "-g", "1")
    content = whole.read_bytes()
    path = tmp_path / "half.mkv"
    path.write_bytes(content[: len(content) // 2])
    before, complete = stream_all(path), stream_all(whole)
    assert len(complete) == 8
    assert 3 <= len(before) <= 5
    for (moment, image), (expected_moment, expected) in zip(before, complete, strict=False):
        assert moment == expected_moment
        assert (image == expected).all()


NAMES = (
    "with space.mp4",
    "100%d %s.mp4",
    "\"quoted\" 'twice'.mp4",
    "-i.mp4",
    "new\nline.mp4",
    "a:b;c|d,e[f].mp4",
    "showinfo pts_time:5.mp4",
    "back\\slash $HOME `id`.mp4",
    "ünï-日本.mp4",
    os.fsdecode(b"no-utf8-\xff\xfe.mp4"),
)


@posix
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_file_name_will_do(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    if sys.platform == "darwin" and not name.isprintable():
        pytest.skip("this file system takes no such name")
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, name)
    assert decode.probe(Path(name)).duration_s == 2.0
    assert [round(moment, 2) for moment, _ in stream_all(Path(name))] == [0, 0.52, 1, 1.52]


def test_name_is_no_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Neither another protocol nor a list of other files is followed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DecodeError, match="No such file"):
        decode.probe(Path("concat:a.mp4|b.mp4"))


def test_only_ffmpeg_is_run_and_nothing_is_left_of_it(children, clip: Path):
    decode.probe(clip)
    assert len(stream_all(clip)) == 4
    assert len(children) >= 2
    assert {process.args[0] for process in children} == {decode.find_program()}
    assert all(process.poll() is not None for process in children)


def test_dropped_iterator_ends_its_process(children, clip: Path):
    frames = decode.stream_frames(clip, 25.0)
    next(frames)
    process = children[-1]
    assert process.poll() is None  # it waits for its pipe to be emptied
    frames.close()
    assert process.poll() is not None
    assert not any(thread.name == "ffmpeg-stderr" for thread in threading.enumerate())


def test_failing_consumer_ends_the_process(children, clip: Path):
    def consume() -> None:
        for _ in decode.stream_frames(clip, 25.0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert all(process.poll() is not None for process in children)


@posix
def test_decoder_that_hangs_is_ended(children, monkeypatch, tmp_path: Path, clip: Path):
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(fake_ffmpeg(tmp_path, "exec sleep 60")))
    monkeypatch.setattr(decode, "STALL_TIMEOUT_S", 0.3)
    with pytest.raises(DecodeError, match="gave nothing for"):
        stream_all(clip)
    assert all(process.poll() is not None for process in children)


@posix
def test_header_that_hangs_is_given_up(children, monkeypatch, tmp_path: Path, clip: Path):
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(fake_ffmpeg(tmp_path, "true", header="exec sleep 60")))
    monkeypatch.setattr(decode, "STALL_TIMEOUT_S", 0.3)
    with pytest.raises(DecodeError, match="did not finish reading the header"):
        decode.probe(clip)
    assert all(process.poll() is not None for process in children)


@pytest.mark.slow
def test_slow_consumer_is_not_taken_for_a_hanging_decoder(monkeypatch, clip: Path):
    monkeypatch.setattr(decode, "STALL_TIMEOUT_S", 1.0)
    pause = threading.Event()
    times = []
    for moment, _ in decode.stream_frames(clip, 1.0):
        pause.wait(1.2)
        times.append(moment)
    assert times == [0.0, 1.0]


def test_times_are_read_beyond_a_thousand_frames(make_clip):
    """ffmpeg pads the number of a frame to four places, so a fifth changes the look of the line."""
    source = "color=black:size=16x16:rate=25:duration=402"
    path = make_clip("many.mp4", "-f", "lavfi", "-i", source, "-c:v", "mpeg4")
    times = [moment for moment, _ in decode.stream_frames(path, 25.0)]
    assert len(times) == 10_050
    assert times == pytest.approx([number / 25 for number in range(10_050)], abs=1e-3)


def test_title_is_not_taken_for_a_time(make_clip, clip: Path):
    title = "Stream mapping: n:   0 pts:      0 pts_time:7 duration:1"
    copy = ("-c", "copy", "-metadata", f"title={title}", "-metadata:s:v", f"handler_name={title}")
    path = make_clip("titled.mp4", "-i", clip, *copy)
    assert [moment for moment, _ in stream_all(path)] == [0, 0.52, 1, 1.52]


@posix
def test_time_is_found_amid_a_line_of_another_thread(monkeypatch, tmp_path: Path, clip: Path):
    said = "[showinfo@%s @ 0x1] config in\\n  Stream #0:0n:   0 pts:      7 pts_time:0.25    duration:1\\n"
    picture = "P6\\n1 1\\n255\\nRGB"
    program = fake_ffmpeg(tmp_path, f"printf '{said}' $mark >&2; printf '{picture}'")
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(program))
    ((moment, image),) = stream_all(clip)
    assert moment == 0.25
    assert image.tobytes() == b"RGB"


@posix
@pytest.mark.parametrize("decoding", ["exit 1", "echo nonsense", "printf 'P6\\n64 48\\n255\\nshort'"])
def test_decoder_that_gives_no_picture(monkeypatch, tmp_path: Path, clip: Path, decoding: str):
    monkeypatch.setenv("VIDSCAN_FFMPEG", str(fake_ffmpeg(tmp_path, decoding)))
    with pytest.raises(DecodeError, match="not one frame could be decoded"):
        stream_all(clip)


# Looking at less


def test_keyframes_alone(make_clip):
    """A keyframe every 0.8 s. Each picture is the one that reading through gives for its moment."""
    source = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=4")
    path = make_clip("keyed.mp4", *source, "-c:v", "mpeg4", "-g", "8", "-sc_threshold", "1000000000")
    found = list(decode.stream_frames(path, Look(keyframes=True)))
    assert [moment for moment, _ in found] == pytest.approx([0, 0.8, 1.6, 2.4, 3.2])
    whole = {round(moment, 2): image for moment, image in stream_all(path, 10.0)}
    assert all((image == whole[round(moment, 2)]).all() for moment, image in found)
    rarely = [moment for moment, _ in decode.stream_frames(path, Look(fps=0.5, keyframes=True))]
    assert rarely == pytest.approx([0, 2.4])


def test_nothing_lies_beyond_the_end(clip: Path):
    assert list(decode.stream_frames(clip, Look(start_s=30.0, max_frames=1))) == []


def test_only_chosen_frames_are_converted(clip: Path):
    """The filter that makes RGB comes after the one that chooses."""
    command = sampling_command(
        decode.find_program(),
        Look(fps=2.0),
        mark="5",
        source=("-i", str(clip)),
        passthrough={"fps_mode": "passthrough"},
    )
    command[command.index("info")] = "debug"
    said = subprocess.run(command, capture_output=True, timeout=60, check=True).stderr.decode()
    converters = re.findall(r"auto-inserting filter '\S*scale\S*' between the filter '([\w@]+)'", said)
    assert converters == ["showinfo@5"]


def test_decoder_leaves_a_core_to_the_rest(bright_clip: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []
    real = decode.start

    def noted(command: list[str]):
        asked.append(command)
        return real(command)

    monkeypatch.setattr(decode, "start", noted)
    monkeypatch.setattr(decode, "decoder_threads", lambda: 3)
    list(decode.stream_frames(bright_clip, 1.0))
    before_input = asked[-1][: asked[-1].index("-i")]
    assert before_input[before_input.index("-threads") + 1] == "3"
    list(decode.stream_frames(bright_clip, Look(start_s=0.5, max_frames=1, threads=1)))
    assert asked[-1][asked[-1].index("-threads") + 1] == "1"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 7)])
def test_decoder_threads_are_fewer_than_the_cores_but_at_least_one(cores, threads, monkeypatch):
    monkeypatch.setattr(decode, "cores", lambda: cores)
    assert decode.decoder_threads() == threads
