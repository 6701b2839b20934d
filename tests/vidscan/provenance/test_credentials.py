"""Content Credentials, signed here and verified by the process that scans use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from signed_media import Authority, authority, box, created, heic, sign

from vidscan.media.ffmpeg.program import find_program
from vidscan.provenance import credentials
from vidscan.provenance.reading import ProvenanceReader
from vidscan.provenance.trust import certificates_in
from vidscan.records import Action, ContentCredentials, CredentialsState, Meaning, Provenance

STILLS = tuple(f"photo.{kind}" for kind in ["jpg", "png", "webp", "avif", "heic", "tiff", "gif", "jxl"])
KINDS = (*STILLS, "clip.mp4", "clip.mov", "clip.avi")


@dataclass(frozen=True)
class Media:
    """Files by their names, unsigned and signed by ``by``, as made by a generator."""

    by: Authority
    plain: dict[str, Path]
    signed: dict[str, Path]


def encode(path: Path, *options: str) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=1")
    command = [find_program(), "-nostdin", "-v", "error", "-y", *source, *options, str(path)]
    subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder, by = tmp_path_factory.mktemp("media"), authority()
    encode(folder / "one.mp4", "-frames:v", "1", "-c:v", "libx265", "-x265-params", "log-level=none")
    for name in KINDS:
        if name.startswith("clip"):
            encode(folder / name, "-c:v", "mpeg4")
        elif not name.endswith((".heic", ".jxl")):
            Image.effect_noise((96, 96), 60).convert("RGB").save(folder / name)
    (folder / "photo.heic").write_bytes(heic(folder / "one.mp4"))
    # A JPEG XL file as far as its boxes go: nothing looks into the pictures.
    head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    (folder / "photo.jxl").write_bytes(head + box(b"jxlc", bytes(range(256)) * 4))
    plain = {name: folder / name for name in KINDS}
    signed = {name: sign(path, folder / f"signed-{name}", by) for name, path in plain.items()}
    return Media(by, plain, signed)


@pytest.fixture
def read() -> Iterator[Callable[[Path], Provenance]]:
    with ProvenanceReader() as reader:
        yield reader.read


def of(provenance: Provenance) -> ContentCredentials:
    assert provenance.content_credentials is not None, provenance
    return provenance.content_credentials


@pytest.mark.parametrize("name", KINDS)
def test_signed_files_are_valid_and_unsigned_ones_say_nothing(media: Media, read, name: str):
    said = read(media.signed[name])
    assert (said.declares_ai, said.generator, said.note) == (True, "Toy Generator 3", "")
    found = of(said)
    assert (found.state, found.failed, found.note) == (CredentialsState.VALID, (), "")
    assert (found.signer, found.signer_trusted) == ("Example Studios", False)
    assert found.generator == "Toy Signer 1.2"
    action = Action("c2pa.created", "trainedAlgorithmicMedia", "Toy Generator 3", "", Meaning.GENERATED)
    assert found.actions == (action,)
    unsigned = read(media.plain[name])
    assert (unsigned.content_credentials, unsigned.declares_ai) == (None, None)


def damaged(path: Path, place: int, folder: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    changed = folder / path.name
    changed.write_bytes(content)
    return changed


@pytest.mark.parametrize("name", KINDS)
def test_one_byte_of_the_content_makes_them_invalid(media: Media, read, name: str, tmp_path: Path):
    plain, signed = media.plain[name].read_bytes(), media.signed[name].read_bytes()
    # Sixteen bytes of the picture's data, which stand in both.
    marks = {"jpg": b"\xff\xda", "png": b"IDAT", "webp": b"VP8 ", "avi": b"movi", "tiff": b"II*\0"}
    marks |= {"gif": b"GIF8", "jxl": b"jxlc"}
    begin = plain.index(marks.get(name.split(".")[1], b"mdat")) + 40
    place = signed.index(plain[begin : begin + 16]) + 8
    said = read(damaged(media.signed[name], place, tmp_path))
    assert of(said).state is CredentialsState.INVALID
    assert "content changed after signing" in [each.text for each in of(said).failed]
    assert said.declares_ai is True  # the file still says so


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "clip.mp4", "photo.heic"])
def test_one_byte_of_the_signature_makes_them_invalid(media: Media, read, name: str, tmp_path: Path):
    content = media.signed[name].read_bytes()
    at = content.index(b"c2pa.signature\0")
    place = content.index(b"\x58\x40", at) + 20  # CBOR: 64 bytes, the signature of ES256
    said = read(damaged(media.signed[name], place, tmp_path))
    assert of(said).state is CredentialsState.INVALID
    assert "the signature does not match" in [each.text for each in of(said).failed]


@pytest.mark.slow
def test_an_expired_certificate_is_told(media: Media, read, tmp_path: Path):
    brief = authority(timedelta(seconds=2))
    signed = sign(media.plain["photo.jpg"], tmp_path / "brief.jpg", brief)
    time.sleep(3.6)  # c2pa counts whole seconds
    assert of(read(signed)).state is CredentialsState.INVALID
    assert "signingCredential.expired" in [each.code for each in of(read(signed)).failed]


def test_a_trust_list_knows_the_signer(media: Media, tmp_path: Path):
    (tmp_path / "ours.pem").write_bytes(media.by.root)
    (tmp_path / "others.pem").write_bytes(authority().root)
    with ProvenanceReader(certificates_in(tmp_path)) as reader:
        assert of(reader.read(media.signed["photo.jpg"])).signer_trusted
    (tmp_path / "ours.pem").unlink()
    with ProvenanceReader(certificates_in(tmp_path)) as reader:
        found = of(reader.read(media.signed["photo.jpg"]))
    assert (found.state, found.signer_trusted) == (CredentialsState.VALID, False)


def test_false_is_for_valid_captures_alone(media: Media, read, tmp_path: Path):
    plain = media.plain["photo.jpg"]
    captured = [created("digitalCapture", "Toy Camera")]
    taken = sign(plain, tmp_path / "taken.jpg", media.by, captured)
    assert read(taken).declares_ai is False
    content = taken.read_bytes()
    changed = damaged(taken, len(content) - 40, tmp_path)
    assert of(read(changed)).state is CredentialsState.INVALID
    assert read(changed).declares_ai is None
    drawn = sign(plain, tmp_path / "drawn.jpg", media.by, [created("digitalCreation")])
    assert read(drawn).declares_ai is None
    assert read(drawn).generator == "Toy Signer 1.2"


def test_ingredients_are_named_and_what_they_say_of_ai_is_inherited(media: Media, read, tmp_path: Path):
    generated = media.signed["photo.jpg"]
    edited = sign(media.plain["photo.png"], tmp_path / "edited.png", media.by, [], parent=generated)
    again = sign(edited, tmp_path / "again.png", media.by, [], parent=edited)
    for path, parent in ((edited, generated), (again, edited)):
        said = read(path)
        assert (of(said).state, of(said).actions[0].action) == (CredentialsState.VALID, "c2pa.opened")
        assert [(each.title, each.relation) for each in of(said).ingredients] == [(parent.name, "parentOf")]
        assert of(said).ingredients[0].generator == "Toy Signer 1.2"
        assert said.declares_ai is True
        assert of(said).inherited is not None
        assert of(said).inherited.source_type == "trainedAlgorithmicMedia"
        assert said.generator == "Toy Generator 3"
    given = sign(
        media.plain["photo.png"],
        tmp_path / "given.png",
        media.by,
        [created("digitalCreation")],
        parent=generated,
        relation="inputTo",
    )
    assert read(given).declares_ai is None


def test_nothing_runs_before_a_file_has_credentials(media: Media, monkeypatch):
    started = []

    def refuse(*_: object, **__: object) -> None:
        started.append(1)
        raise OSError("no room for a process")

    monkeypatch.setattr(credentials, "Child", refuse)
    with ProvenanceReader() as reader:
        for path in media.plain.values():
            reader.read(path)
        assert not started
        assert of(reader.read(media.signed["photo.jpg"])).state is CredentialsState.UNREADABLE
        assert started


def test_a_reader_that_hangs_or_dies_costs_the_panel_of_one_file(media: Media, monkeypatch, tmp_path: Path):
    fake = tmp_path / "fake.py"
    fake.write_text("import sys, time\nsys.stdin.readline()\nsys.stdin.readline()\ntime.sleep(60)\n")
    monkeypatch.setattr(credentials, "WORKER", (sys.executable, str(fake)))
    monkeypatch.setattr(credentials, "MIN_TIME_S", 0.5)
    monkeypatch.setattr(credentials, "START_S", 0.5)
    with ProvenanceReader() as reader:
        assert "took longer than" in of(reader.read(media.signed["photo.jpg"])).note
        fake.write_text("import sys\nsys.stdin.readline()\nsys.exit(1)\n")
        assert "is c2pa-python installed?" in of(reader.read(media.signed["photo.jpg"])).note
        monkeypatch.undo()
        assert of(reader.read(media.signed["photo.jpg"])).state is CredentialsState.VALID


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("            _confine(", "            os.abort()\n            _confine(", "SIGABRT"),
        ("MAX_ANSWER = 8 << 20", "MAX_ANSWER = 100", "what they say takes more than 0 MiB"),
    ],
)
def test_a_fork_that_dies_or_says_too_much_leaves_the_reader_alive(
    media: Media, monkeypatch, tmp_path: Path, before: str, after: str, told: str
):
    worker = Path(credentials.__file__).with_name("credentials_worker.py").read_text("utf-8")
    assert before in worker
    (tmp_path / "other.py").write_text(worker.replace(before, after), "utf-8")
    monkeypatch.setattr(credentials, "WORKER", (sys.executable, "-I", str(tmp_path / "other.py")))
    with ProvenanceReader() as reader:
        for _ in range(2):
            found = of(reader.read(media.signed["photo.jpg"]))
            assert found.state is CredentialsState.UNREADABLE
            assert told in found.note


def test_the_fork_can_open_and_connect_to_nothing(tmp_path: Path):
    worker = Path(credentials.__file__).with_name("credentials_worker.py")
    script = f"""
import runpy, socket, sys
confine = runpy.run_path({str(worker)!r})["_confine"]
held = open({str(worker)!r}, "rb")
log = open({str(tmp_path / "log")!r}, "w")
confine(5)
for attempt in (lambda: open({str(worker)!r}), socket.socket, lambda: log.write("x" * 9000) or log.flush()):
    try:
        attempt()
        print("possible")
    except OSError:
        print("refused")
print(len(held.read()) > 100)
import os; os._exit(0)
"""
    import signal

    ran = subprocess.run(
        [sys.executable, "-u", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert ran.stdout.split() == ["refused", "refused", "refused", "True"], ran


@pytest.mark.slow
def test_deep_chains_and_huge_manifests_end_in_time(media: Media, read, tmp_path: Path):
    path = media.signed["photo.jpg"]
    for number in range(30):
        path = sign(path, tmp_path / f"{number}.jpg", media.by, [], parent=path)
    said = read(path)
    assert (of(said).state, said.declares_ai) == (CredentialsState.VALID, True)
    assert len(of(said).ingredients) == 1
    huge = sign(media.plain["photo.png"], tmp_path / "huge.png", media.by, filler=100 << 20)
    begun = time.process_time()
    said = read(huge)
    assert of(said).state is CredentialsState.UNREADABLE
    assert "vidscan reads 32 MiB at most" in of(said).note
    assert time.process_time() - begun < 5


@pytest.mark.slow
def test_a_large_manifest_within_the_limit_is_read(media: Media, read, tmp_path: Path):
    for name in ("photo.jpg", "clip.mp4"):
        large = sign(media.plain[name], tmp_path / name, media.by, filler=30 << 20)
        assert of(read(large)).state is CredentialsState.VALID


def test_credentials_elsewhere_are_named_and_not_fetched(read, tmp_path: Path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dcterms:provenance="https://example.org/m.c2pa"/>'
    Image.new("RGB", (32, 32)).save(tmp_path / "far.png", pnginfo=None)
    Image.new("RGB", (32, 32)).save(tmp_path / "far.jpg", xmp=xmp)
    found = of(read(tmp_path / "far.jpg"))
    assert (found.state, found.url) == (CredentialsState.REMOTE, "https://example.org/m.c2pa")


def test_names_that_are_no_utf8_are_read(media: Media, read, tmp_path: Path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n'.jpg"))
    odd.write_bytes(media.signed["photo.jpg"].read_bytes())
    assert of(read(odd)).state is CredentialsState.VALID
