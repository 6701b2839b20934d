"""What a still's header says, before any decoder sees the file."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from toys import ToyDetector, ToyScorer, toy_picture

from vidscan.errors import DecodeError, SourceError
from vidscan.media import frames
from vidscan.media.ffmpeg.program import find_program
from vidscan.media.frames import read_still, require_content
from vidscan.media.sources import from_paths
from vidscan.media.stills import decoders, header
from vidscan.media.stills.header import MAX_STEPS, HeaderError, read_header
from vidscan.options import BatchingOptions, DetectionOptions, ScanOptions
from vidscan.records import Label, Remark
from vidscan.scan.pipeline import scan

FORMATS = {
    "jpeg": {}, "png": {}, "webp": {}, "tiff": {}, "bmp": {}, "ppm": {}, "jpeg2000": {}, "gif": {},
    "progressive": {"format": "jpeg", "progressive": True},
    "lossless": {"format": "webp", "lossless": True},
    "extended": {"format": "webp", "exif": b"Exif\0\0"},
    "stream": {"format": "jpeg2000", "no_jp2": True},
    "lzw": {"format": "tiff", "compression": "tiff_lzw"},
}  # fmt: skip


def encoded(name: str, picture: Pillow.Image, **more) -> bytes:
    options = {"format": name, **FORMATS.get(name, {}), **more}
    stream = io.BytesIO()
    picture.save(stream, **options)
    return stream.getvalue()


def noise(width: int = 70, height: int = 45) -> Pillow.Image:
    return Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("name", FORMATS)
def test_header_is_that_of_the_decoder(name: str):
    content = encoded(name, noise())
    header = read_header(content)
    assert (header.width, header.height, header.several) == (70, 45, False)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (45, 70, 3)


@pytest.mark.parametrize("name", FORMATS)
def test_header_that_is_cut_off_is_told(name: str):
    content = encoded(name, noise())
    with pytest.raises(HeaderError):
        read_header(content[:6])
    for length in range(len(content)):
        try:
            assert read_header(content[:length]).width == 70
        except HeaderError as error:
            assert "\n" not in str(error)
        if length > 2000:
            break


@pytest.mark.parametrize("name", ["png", "webp", "gif", "tiff"])
def test_several_pictures_are_noticed_and_the_first_is_read(name: str, tmp_path: Path):
    path = tmp_path / "several"
    others = [noise().rotate(90), noise().rotate(180)]
    path.write_bytes(encoded(name, noise(), save_all=True, append_images=others))
    assert read_header(path.read_bytes()).several
    path.with_suffix(".one").write_bytes(encoded(name, noise()))
    difference = np.abs(read_still(path).astype(int) - read_still(path.with_suffix(".one")))
    assert np.quantile(difference, 0.9) < 40


def test_several_pictures_are_said_beside_the_verdict(tmp_path: Path):
    white = Pillow.fromarray(toy_picture(250))
    white.save(tmp_path / "two.png", save_all=True, append_images=[Pillow.new("RGB", (80, 80), "red")])
    white.save(tmp_path / "one.png")
    options = ScanOptions(batching=BatchingOptions(4))
    sources = from_paths([tmp_path / "one.png", tmp_path / "two.png"])
    one, two = scan(sources, options, scorers=[ToyScorer()], detector=ToyDetector())
    assert one.verdict.label == two.verdict.label == Label.FAKE
    assert (one.remarks, two.verdict.reason) == ((), one.verdict.reason)
    said = "Only the first of the pictures in this PNG was looked at; vidscan run looks at all."
    assert two.remarks == (Remark("further-pictures", said),)


def png(width: int, height: int) -> bytes:
    """A whole PNG of black pixels, one bit each, which zlib makes tiny."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = bytes(1 + (width + 7) // 8)
    squeezer = zlib.compressobj(9)
    body = b"".join(squeezer.compress(row) for _ in range(min(height, 2000))) + squeezer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_bomb_is_refused_before_a_decoder_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(300, 200))
    assert read_still(path).shape == (200, 300, 3)
    path.write_bytes(png(60_000, 60_000))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(decoders.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(
        DecodeError, match="has 60000x60000 pixels, and vidscan decodes 134217728 at most: reduce"
    ):
        read_still(path)


@pytest.mark.parametrize("name", FORMATS)
def test_limit_holds_for_every_format(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "picture"
    path.write_bytes(encoded(name, noise()))
    monkeypatch.setattr(frames, "MAX_STILL_PIXELS", 70 * 45)
    read_still(path)
    monkeypatch.setattr(frames, "MAX_STILL_PIXELS", 70 * 45 - 1)
    with pytest.raises(DecodeError, match="has 70x45 pixels"):
        read_still(path)


def test_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "large.bmp"
    path.write_bytes(encoded("bmp", noise()))
    monkeypatch.setattr(frames, "MAX_STILL_BYTES", path.stat().st_size - 1)
    with pytest.raises(DecodeError, match="is larger than 0 MiB"):
        read_still(path)


@pytest.mark.parametrize("suffix", [".hdr", ".ras", ".pfm", ".exr"])
def test_decoders_that_are_not_needed_are_never_asked(suffix: str, tmp_path: Path):
    """OpenCV goes by the content and would take any of these under the name of a JPEG."""
    signatures = {
        ".hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\x80\x80\x80\x80",
        ".ras": struct.pack(">8I", 0x59A66A95, 1, 1, 24, 4, 1, 0, 0) + bytes(4),
        ".pfm": b"PF\n1 1\n-1.0\n" + bytes(12),
        ".exr": b"\x76\x2f\x31\x01" + bytes(100),
    }
    path = tmp_path / "photograph.jpg"
    path.write_bytes(signatures[suffix])
    with pytest.raises(DecodeError, match=r"no picture that can be read .it is no JPEG, PNG"):
        read_still(path)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (3000, 1), (2, 2)])
def test_thin_pictures_go_through_real_detection(tmp_path: Path, detector, width: int, height: int):
    Pillow.new("RGB", (width, height), "white").save(tmp_path / "thin.png")
    picture = read_still(tmp_path / "thin.png")
    assert picture.shape == (height, width, 3)
    assert detector.detect(picture) == []


@pytest.fixture(scope="module")
def detector():
    from vidscan.faces.detector import MediaPipeFaceDetector

    with MediaPipeFaceDetector(DetectionOptions()) as opened:
        yield opened


@pytest.mark.parametrize("cut", [0.999, 0.99, 0.9, 0.5, 0.1])
@pytest.mark.parametrize("name", FORMATS)
def test_cut_off_picture_is_a_failure_wherever_it_was_cut(tmp_path: Path, name: str, cut: float):
    path = tmp_path / "cut"
    content = encoded(name, noise())
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(DecodeError) as caught:
        read_still(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "endless",
    [
        b"\xff\xd8\xff" + b"\xff\xe0\x00\x02" * (MAX_STEPS + 5),
        b"\xff\xd8\xff" + b"\xff\x00" * (MAX_STEPS + 5),
        png(9, 9)[:33] + b"\0\0\0\0teXt\0\0\0\0" * (MAX_STEPS + 5),
        b"GIF89a\x08\0\x08\0\0\0\0" + b"\x21\xfe\0" * (MAX_STEPS + 5),
        b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * (MAX_STEPS + 5),
    ],
    ids=["segments", "fill", "chunks", "extensions", "boxes"],
)
def test_endless_header_is_given_up(endless: bytes):
    """Before its end is reached, where it would be cut off."""
    with pytest.raises(HeaderError, match=r"before its scan|does not begin|no code stream"):
        read_header(endless)


def test_gif_of_endless_pieces_is_given_up(monkeypatch: pytest.MonkeyPatch):

    monkeypatch.setattr(header, "MAX_PIECES", 3)
    with pytest.raises(HeaderError, match="more than 3 pieces"):
        read_header(encoded("gif", noise()))


def test_channels_without_end_are_refused():
    content = bytearray(encoded("stream", noise()))
    struct.pack_into(">H", content, 40, 16_384)
    with pytest.raises(HeaderError, match="16384 channels"):
        read_header(bytes(content))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(FORMATS)), st.data())
def test_damaged_header_gives_a_header_or_is_refused(name: str, data: st.DataObject):
    content = bytearray(encoded(name, noise(8, 8)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 200) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(content))
    except HeaderError:
        return
    assert header.width > 0 and header.height > 0


def test_pipe_does_not_keep_its_reader_waiting(make_pipe, tmp_path: Path):
    path = tmp_path / "pipe.png"
    make_pipe(path)
    with pytest.raises(SourceError, match=r"pipe\.png: is no ordinary file"):
        require_content(path)
    with pytest.raises(SourceError, match="is no ordinary file"):
        require_content(Path("/dev/null"))


# HEIC, AVIF and JPEG XL


def modern(name: str, picture: Pillow.Image, tmp_path: Path, **more) -> bytes:
    """A picture in a format that OpenCV does not read on all systems; skips where nothing here writes it."""
    if name == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
        return encoded("HEIF", picture, **more)
    if name == "avif":
        return encoded("AVIF", picture, **more)
    picture.save(tmp_path / "plain.png")
    command = [find_program(), "-v", "error", "-y", "-i", tmp_path / "plain.png", tmp_path / "made.jxl"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this ffmpeg has no JPEG XL")
    return (tmp_path / "made.jxl").read_bytes()


MODERN = ("heic", "avif", "jxl")
FORMAT_NAMES = {"heic": "HEIC", "avif": "AVIF", "jxl": "JPEG XL"}


def smooth(width: int = 96, height: int = 64) -> Pillow.Image:
    y, x = np.mgrid[:height, :width]
    return Pillow.fromarray(np.stack([x * 2, y * 3, 255 - x], axis=2).astype(np.uint8))


@pytest.mark.parametrize("size", [(96, 64), (64, 64), (333, 217), (48, 36)])
@pytest.mark.parametrize("name", MODERN)
def test_modern_formats_are_read(name: str, size: tuple[int, int], tmp_path: Path):
    content = modern(name, smooth(*size), tmp_path)
    path = tmp_path / "picture"  # the content tells the format, not the name
    path.write_bytes(content)
    header = read_header(content)
    assert (header.format, header.several) == (FORMAT_NAMES[name], False)
    if name == "heic":  # as coded, before it is cut to an even number of blocks
        assert size[0] <= header.width <= size[0] + 63 and size[1] <= header.height <= size[1] + 63
    else:
        assert (header.width, header.height) == size
    difference = np.abs(read_still(path).astype(int) - np.asarray(smooth(*size)))
    assert np.quantile(difference, 0.95) < 16


def test_avif_is_turned_upright(tmp_path: Path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.avif"
    path.write_bytes(modern("avif", smooth(), tmp_path, exif=exif))
    difference = np.abs(read_still(path).astype(int) - np.rot90(np.asarray(smooth()), -1))
    assert np.quantile(difference, 0.95) < 16


@pytest.mark.parametrize("name", MODERN)
def test_modern_header_that_is_cut_off_is_told(name: str, tmp_path: Path):
    content = modern(name, smooth(), tmp_path)
    with pytest.raises(HeaderError):
        read_header(content[:2] if name == "jxl" else content[:40])
    for length in range(2, min(len(content), 1500)):
        try:
            assert read_header(content[:length]).width == 96
        except HeaderError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", MODERN)
def test_modern_picture_that_is_cut_off_is_refused(name: str, tmp_path: Path):
    content = modern(name, noise(128, 96), tmp_path)
    path = tmp_path / f"cut.{name}"
    for share in (0.9, 0.5):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DecodeError) as caught:
            read_still(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_modern_picture_of_too_many_pixels_reaches_no_decoder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = modern(name, smooth(), tmp_path)
    size = struct.pack(">II", 96, 64)
    place = content.index(b"ispe") + 8
    assert content[place : place + 8] == size
    path = tmp_path / f"huge.{name}"
    path.write_bytes(content[:place] + struct.pack(">II", 60_000, 60_000) + content[place + 8 :])
    monkeypatch.setattr(frames, "decode_picture", None)
    with pytest.raises(DecodeError, match="60000x60000"):
        read_still(path)


def test_boxes_without_end_are_refused():
    boxes = struct.pack(">I4s4s", 12, b"free", b"") * 30_000
    with pytest.raises(HeaderError, match="more than"):
        read_header(struct.pack(">I4s4s4x", 16, b"ftyp", b"heic") + boxes)


def test_pictures_of_one_avif_and_one_heic_are_counted(tmp_path: Path):
    others = [smooth().rotate(180)]
    animated = modern("avif", smooth(), tmp_path, save_all=True, append_images=others)
    assert read_header(animated).several
    two = modern("heic", smooth(), tmp_path, save_all=True, append_images=others)
    assert read_header(two).several


# Numbers of 32 bits and more


@pytest.mark.parametrize(
    ("kind", "white"),
    [("float32", 1), ("float64", 1), ("float32", 255), ("float32", 65535), ("int32", 65535)],
)
@pytest.mark.parametrize("grey", [False, True])
def test_tiff_of_large_numbers(kind: str, white: int, grey: bool, tmp_path: Path):
    levels = np.asarray(smooth())
    levels = levels[..., 0] if grey else levels
    path = tmp_path / "deep.tiff"
    assert cv2.imwrite(str(path), ((levels[..., ::-1] if not grey else levels) / 255 * white).astype(kind))
    expected = np.repeat(levels[..., None], 3, axis=2) if grey else levels
    assert np.abs(read_still(path).astype(int) - expected).max() <= 1


def test_tiff_of_numbers_that_are_none(tmp_path: Path):
    levels = np.full((8, 8), 0.5, np.float32)
    levels[0, 0], levels[0, 1] = np.nan, np.inf
    cv2.imwrite(str(tmp_path / "none.tiff"), levels)
    picture = read_still(tmp_path / "none.tiff")
    assert picture[0, :2].max() == 0 and picture[4, 4, 0] == 128
