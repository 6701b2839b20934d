"""Reads a clip as a person would see it: every moving stream, in its shape and colours, to its true end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from vidscan.errors import DecodeError, SourceError
from vidscan.media.appended import is_joined_matroska, left_behind
from vidscan.media.clap import has_clap
from vidscan.media.ffmpeg import decode
from vidscan.media.ffmpeg.command import Look
from vidscan.media.ffmpeg.decode import Picture
from vidscan.media.ffmpeg.header import MediaInfo, VideoStream, codec_name
from vidscan.media.ffmpeg.presentation import Presentation, presentation_of
from vidscan.media.ffmpeg.program import crops, filters, find_program
from vidscan.media.ffmpeg.seek import spread_frames
from vidscan.media.interlacing import Doubts, Fields, Start, of_one_moment
from vidscan.options import SamplingOptions
from vidscan.records import Frame, Remark

MAX_STREAMS = 8
"""Limit on the video streams of a file that are looked at: one of hundreds would keep a scan busy."""

_LENGTH_GUESSED = frozenset(("mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "obu", "mjpeg"))
"""Containers without an index, of which ffmpeg guesses the length by what stands at the file's end."""

_SLACK_S = 0.3
"""Pictures may end so much before the sound and its padding do, or go on for so much longer."""

_NOTEWORTHY_S = 1.0
"""A length that is wrong by less is no news to anybody."""

_GONE_BACK_S = 0.25
"""Frames of one recording may come so much too early by a clock that is not exact."""


@dataclass(slots=True)
class _Course:
    """How far the frames of one stream have come, in seconds of the clip, which never go back.

    ``period_s``: from one frame to the next, None where only the file knows. ``ahead_s``: how much further
    the clip is than its clock says, since that ``began_anew_s``. ``hopeless``: this ffmpeg cannot
    deinterlace.
    """

    period_s: float | None
    latest_s: float = -1.0
    ahead_s: float = 0.0
    began_anew_s: list[float] = field(default_factory=list)
    doubts: Doubts = field(default_factory=Doubts)
    hopeless: bool = False


class Clip:
    """A clip on this machine. ``remarks`` and ``duration_s`` are complete once its frames were read.

    ``streams`` are those that are looked at, in order; ``codec`` is the first one's.
    """

    def __init__(self, path: Path, options: SamplingOptions) -> None:
        """Reads the header.

        Raises:
            SourceError: the file holds no video, or not the stream that is asked for.
            DecodeError: it cannot be read.
        """
        self._path, self._options = path, options
        self._info = decode.probe(path)
        self.remarks: list[Remark] = left_behind(path, self._info.container)
        self.streams = self._chosen(self._info)
        self.duration_s = self._info.duration_s
        self.codec = self.streams[0].codec

    def frames(self, source_id: str) -> Iterator[Frame]:
        """The sampled frames of one stream after the other, each in order of time; raises DecodeError.

        A stream of several that cannot be decoded is left out, with a remark.
        """
        index, failed = 0, list[DecodeError]()
        for stream in self.streams:
            try:
                for picture in self._pictures(stream):
                    yield Frame(source_id, index, picture.time_s, picture.image, stream.number)
                    index += 1
            except DecodeError as error:
                if len(self.streams) == 1:
                    raise
                failed.append(error)
                self._say("stream-unread", stream, "It could not be decoded, or not to its end.")
        if failed and not index:
            raise failed[0]

    def presentation(self) -> Presentation:
        """How the first stream's frames are shown, by the header alone."""
        return presentation_of(self.streams[0], find_program())[0]

    def _chosen(self, info: MediaInfo) -> tuple[VideoStream, ...]:
        wanted = self._options.stream
        if wanted is not None:
            return (self._named(info, wanted),)
        streams = [each for each in info.videos if not each.cover]
        moving = [each for each in streams if each.decodable]
        if len(moving) > MAX_STREAMS:
            said = f"Of its {len(moving)} video streams, the first {MAX_STREAMS} were looked at alone."
            self.remarks.append(Remark("streams-left-out", said))
            streams, moving = moving[:MAX_STREAMS], moving[:MAX_STREAMS]
        if len(moving) > 1:
            covers = [each for each in moving if self._is_picture(each)]
            moving = [each for each in moving if each not in covers] or moving
        for each in streams:
            if not each.decodable:
                said = f"its {codec_name(each)} has no frame that can be decoded"
                self.remarks.append(Remark("stream-unread", f"Stream {each.number} was left out: {said}."))
            elif each not in moving:
                said = f"Stream {each.number} is a single picture, taken for a cover: it was not looked at."
                self.remarks.append(Remark("cover", said))
        if len(moving) > 1:
            named = ", ".join(f"{each.number} ({codec_name(each)}, {_size(each)})" for each in moving)
            said = f"It holds {len(moving)} video streams, and each was looked at: {named}."
            self.remarks.append(Remark("streams", f"{said} --stream N looks at one alone."))
        return tuple(moving)

    def _is_picture(self, stream: VideoStream) -> bool:
        return decode.count_frames(self._path, str(stream.number), most=2) == 1

    def _named(self, info: MediaInfo, number: int) -> VideoStream:
        for each in info.videos:
            if each.number == number and each.decodable:
                others = [str(other.number) for other in info.videos if other != each and not other.cover]
                if others:
                    said = (
                        f"Stream {number} alone was looked at, and none of its others: {', '.join(others)}."
                    )
                    self.remarks.append(Remark("streams-left-out", said))
                return each
        known = ", ".join(str(each.number) for each in info.videos if each.decodable)
        raise SourceError(f"{self._path}: has no video stream {number}: give one of {known} with --stream")

    def _say(self, code: str, stream: VideoStream, text: str) -> None:
        several = len(self.streams) > 1
        self.remarks.append(Remark(code, f"Stream {stream.number}: {text}" if several else text))

    def _pictures(self, stream: VideoStream) -> Iterator[Picture]:
        shown, said = presentation_of(stream, find_program())
        for each in said:
            self._say(each.code, stream, each.text)
        if "mp4" in self._info.container and not crops(find_program()) and has_clap(self._path):
            border = "Its file says to cut off a border, which this ffmpeg, before 7.1, does not do."
            self._say("not-cropped", stream, border)
        start, period_s = self._start(stream, shown)
        course = _Course(period_s)
        yield from self._as_seen(stream, shown, start, course)
        self._check_end(stream, shown, course)

    def _start(self, stream: VideoStream, shown: Presentation) -> tuple[Start, float | None]:
        """What begins to read a stream, and the seconds between frames, None where only the file knows."""
        path, asked = self._path, self._options
        if asked.frames is None:
            look = Look(fps=asked.fps, keyframes=asked.keyframes)
            period_s = None if asked.keyframes else 1.0 / asked.fps
            return lambda shown: decode.pictures(path, look, shown), period_s
        count, length_s, seekable = asked.frames, self.duration_s, True
        matroska = "matroska" in self._info.container
        # Without a length it is a recorder's, which may be several, and has no index to seek by.
        restarts = self._is_joined() or (length_s is None and matroska)
        if restarts or length_s is None or self._info.container in _LENGTH_GUESSED:
            told_s, found_s = length_s, decode.measure(path, shown).length_s
            # By a clock that starts anew, a place is found once at most.
            seekable = told_s is None or found_s is None or abs(found_s - told_s) <= _NOTEWORTHY_S
            length_s = found_s or told_s
            if found_s is not None:
                self._take_length(stream, found_s)
        spread_s = length_s

        def start(shown: Presentation) -> Generator[Picture, None, None]:
            return spread_frames(path, count, spread_s, shown, seekable=seekable, restarts=restarts)

        return start, length_s / count if length_s else None

    def _is_joined(self) -> bool:
        return "matroska" in self._info.container and is_joined_matroska(self._path)

    def _as_seen(
        self, stream: VideoStream, shown: Presentation, start: Start, course: _Course
    ) -> Iterator[Picture]:
        """The pictures of a stream, each once.

        Where one turns out to be of two moments, reading starts anew, to show one field from there on.
        """
        fields: Fields | None = None
        while True:
            with closing(of_one_moment(start, shown, fields)) as found:
                for picture in self._going_on(found, course):
                    if picture.time_s <= course.latest_s:
                        continue
                    if settled := self._settled(stream, shown, picture, course):
                        fields = settled
                        break
                    course.latest_s = picture.time_s
                    yield picture
                else:
                    return

    def _going_on(self, found: Iterator[Picture], course: _Course) -> Iterator[Picture]:
        """Pictures whose times go on where the clock goes back, by the length that the header gives or so."""
        course.began_anew_s, course.ahead_s, last_s = [], 0.0, 0.0
        for picture in found:
            time_s = picture.time_s + course.ahead_s
            if time_s < last_s - _GONE_BACK_S:
                step_s, to_go_s = course.period_s or 0.0, (self._info.duration_s or 0.0) - last_s
                anew_s = last_s + (to_go_s if 0.0 < to_go_s <= step_s else step_s)
                course.began_anew_s.append(anew_s)
                course.ahead_s += anew_s - time_s
                time_s = anew_s
            last_s = time_s
            yield picture._replace(time_s=time_s)

    def _settled(
        self, stream: VideoStream, shown: Presentation, picture: Picture, course: _Course
    ) -> Fields | None:
        """Which frames turn out to be of two moments from a picture on, if this ffmpeg can do without."""
        if course.hopeless:
            return None
        fields = course.doubts.settle(self._path, shown, picture, picture.time_s - course.ahead_s)
        if fields is None:
            return None
        said = "It is interlaced"
        if fields is Fields.ALL:
            said = "Its frames have the combs of interlaced video, which the file does not say"
        if "field" not in filters(find_program()):
            course.hopeless = True
            left = "this ffmpeg has no filter named field, so its frames were left as they are"
            self._say("interlaced", stream, f"{said}: {left}.")
            return None
        since = f" from {picture.time_s:.1f} s on" if course.latest_s >= 0 else ""
        what = "its frames were deinterlaced, by every other line alone"
        self._say("deinterlaced", stream, f"{said}: {what}{since}.")
        return fields

    def _check_end(self, stream: VideoStream, shown: Presentation, course: _Course) -> None:
        """Compares where the pictures ended with the header's length, and finds out what differs."""
        told_s, last_s = self.duration_s, course.latest_s
        if last_s < 0:
            return
        if told_s is not None and not course.began_anew_s:
            too_early = course.period_s is not None and last_s + course.period_s < told_s - _SLACK_S
            if not too_early and last_s <= told_s + _SLACK_S:
                return
        measured = decode.Measured(None)
        with suppress(DecodeError):  # it takes too long: what the frames showed has to do
            measured = decode.measure(self._path, shown)
        length_s = max(measured.length_s or 0.0, last_s)
        if course.began_anew_s:
            places = " and ".join(f"{each:.1f} s" for each in course.began_anew_s[:3])
            said = f"Its clock goes back at {places}, as where recordings were appended"
            self._say("clock-goes-back", stream, f"{said}: times go on from there.")
        elif told_s is not None and length_s < told_s:
            if measured.breaks_off:
                said = f"The file breaks off at about {length_s:.1f} s of {told_s:.1f} s"
                self._say("breaks-off", stream, f"{said}: what follows is missing.")
            elif told_s - length_s > _NOTEWORTHY_S:
                said = f"Its last picture is at {length_s:.1f} s, although the file goes on to"
                self._say("pictures-end", stream, f"{said} {told_s:.1f} s.")
            return
        self._take_length(stream, length_s)

    def _take_length(self, stream: VideoStream, length_s: float) -> None:
        """Corrects the clip's length by what was measured."""
        told_s = self.duration_s
        if told_s is not None and length_s > told_s + _NOTEWORTHY_S and not self._is_joined():
            said = f"Its header gives {told_s:.1f} s as its length; its pictures go on to {length_s:.1f} s."
            self._say("length", stream, said)
        self.duration_s = max(told_s or 0.0, length_s)


def _size(stream: VideoStream) -> str:
    return f"{stream.width}x{stream.height}"
