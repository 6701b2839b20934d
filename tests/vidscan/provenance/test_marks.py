"""Entries of files made by Pillow and ffmpeg: what is found, what it is taken for, and what it costs."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from signed_media import SOURCE_TYPES, box, heic

from vidscan.media.ffmpeg.program import find_program
from vidscan.provenance import contents, reading
from vidscan.provenance.contents import Contents, FileBytes
from vidscan.provenance.marks import table
from vidscan.provenance.pictures import read_png
from vidscan.provenance.reading import ProvenanceReader, look_into
from vidscan.provenance.xmp import add_xmp_entries
from vidscan.records import Meaning, Provenance, Tag

WEB_UI = "a cat, oil on canvas\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def read(path: Path) -> Provenance:
    with ProvenanceReader() as reader:
        return reader.read(path)


def packet(inside: str, element: str = "") -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f"{inside}>{element}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def picture(path: Path, **more: object) -> Path:
    Image.new("RGB", (32, 24), (90, 120, 200)).save(path, **more)
    return path


def texts(**said: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name, text in said.items():
        info.add_text(name.replace("__", "-"), text)
    return info


@pytest.mark.parametrize(
    "said",
    [
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPES}trainedAlgorithmicMedia"', ""),
        (f"Iptc4xmpExt:DigitalSourceType='{SOURCE_TYPES}trainedAlgorithmicMedia'", ""),
        (f'ext:DigitalSourceType = "{SOURCE_TYPES.replace("http", "https")}trainedAlgorithmicMedia"', ""),
        ("", f"<a:DigitalSourceType>{SOURCE_TYPES}trainedAlgorithmicMedia</a:DigitalSourceType>"),
        ("", f'<a:DigitalSourceType rdf:resource="{SOURCE_TYPES}trainedAlgorithmicMedia"/>'),
        ("", "<a:DigitalSourcefileType>TrainedAlgorithmicMedia</a:DigitalSourcefileType>"),
        ('a:DigitalSourceType="digsrctype:trainedAlgorithmicMedia"', ""),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_the_iptc_source_type_is_found_in_every_spelling(tmp_path: Path, said: tuple[str, str], suffix: str):
    xmp = packet(*said)
    more = {"pnginfo": PngImagePlugin.PngInfo()} if suffix == ".png" else {"xmp": xmp}
    if suffix == ".png":
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    elif suffix == ".tiff":
        more = {"tiffinfo": {700: xmp}}
    found = read(picture(tmp_path / f"a{suffix}", **more))
    assert (found.declares_ai, found.content_credentials) == (True, None)
    (tag,) = found.tags
    assert (tag.where, tag.name, tag.meaning) == ("XMP", "DigitalSourceType", Meaning.GENERATED)
    assert tag.value.lower() == "trainedalgorithmicmedia"


@pytest.mark.parametrize(
    ("kind", "declares_ai"),
    [
        ("compositeWithTrainedAlgorithmicMedia", True),
        ("digitalCapture", None),  # nobody signed it
        ("humanEdits", None),
        ("algorithmicMedia", None),
        ("compositeSynthetic", None),
    ],
)
def test_other_source_types(tmp_path: Path, kind: str, declares_ai: bool | None):
    xmp = packet(f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPES}{kind}"')
    found = read(picture(tmp_path / "a.jpg", xmp=xmp))
    assert (found.declares_ai, found.tags[0].value) == (declares_ai, kind)


@pytest.mark.parametrize(
    ("inside", "element", "generator"),
    [
        ('Iptc4xmpExt:AISystemUsed="Toy &amp; Co Generator"', "", "Toy & Co Generator"),
        ("", "<photoshop:Credit>Made with Google AI</photoshop:Credit>", "Google AI"),
        ('xmp:CreatorTool="Adobe Firefly 3"', "", "Adobe Firefly 3"),
        (
            "",
            '<T:AIGC>{"Label":"1","ContentProducer":"x"}</T:AIGC>',
            "a service that labels as GB 45438-2025 demands",
        ),
    ],
)
def test_other_properties_name_the_generator(tmp_path: Path, inside: str, element: str, generator: str):
    found = read(picture(tmp_path / "a.jpg", xmp=packet(inside, element)))
    assert (found.declares_ai, found.generator) == (True, generator)


def test_a_program_and_a_guess_are_no_declaration(tmp_path: Path):
    element = '<T:AIGC>{"Label":"3"}</T:AIGC><photoshop:Credit>A. Painter</photoshop:Credit>'
    found = read(picture(tmp_path / "a.jpg", xmp=packet('xmp:CreatorTool="Adobe Photoshop 26"', element)))
    assert found.declares_ai is None
    assert [tag.name for tag in found.tags] == ["CreatorTool", "AIGC"]


@pytest.mark.parametrize(
    ("said", "generator"),
    [
        ({"parameters": WEB_UI}, "a Stable Diffusion web UI"),
        ({"parameters": json.dumps({"sui_image_params": {"prompt": "a cat"}})}, "SwarmUI"),
        ({"parameters": json.dumps({"prompt": "a cat"}), "fooocus_scheme": "fooocus"}, "Fooocus"),
        ({"prompt": json.dumps({"3": {"class_type": "KSampler"}})}, "ComfyUI"),
        ({"workflow": json.dumps({"last_node_id": 9, "nodes": []})}, "ComfyUI"),
        ({"invokeai_metadata": json.dumps({"positive_prompt": "a cat"})}, "InvokeAI"),
        ({"sd__metadata": json.dumps({"model": "stable diffusion"})}, "InvokeAI"),
        ({"Dream": '"a cat" -s50 -S1'}, "InvokeAI"),
        ({"Software": "NovelAI", "Source": "Stable Diffusion XL"}, "NovelAI"),
        ({"Description": "a cat --v 6 Job ID: a7421d2f-b262-44f9-977c-ac23e9c7d3e3"}, "Midjourney"),
        ({"AIGC": '{"Label": "1"}'}, "a service that labels as GB 45438-2025 demands"),
    ],
)
def test_texts_of_png_files(tmp_path: Path, said: dict[str, str], generator: str):
    found = read(picture(tmp_path / "a.png", pnginfo=texts(**said)))
    assert (found.declares_ai, found.generator) == (True, generator)
    assert found.tags[0].where == "PNG text"


def test_compressed_and_international_texts(tmp_path: Path):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", WEB_UI, zip=True)
    info.add_itxt("prompt", json.dumps({"1": {"class_type": "猫"}}), "zh", "提示", zip=True)
    found = read(picture(tmp_path / "a.png", pnginfo=info))
    assert [tag.maker for tag in found.tags] == ["a Stable Diffusion web UI", "ComfyUI"]
    assert found.tags[0].value.startswith("a cat, oil on canvas Negative prompt")


@pytest.mark.parametrize(
    "said", [{"prompt": "bring a pen"}, {"Description": "my cat"}, {"Software": "GIMP 3"}]
)
def test_texts_that_say_nothing_of_ai(tmp_path: Path, said: dict[str, str]):
    assert read(picture(tmp_path / "a.png", pnginfo=texts(**said))).declares_ai is None


@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_user_comment_of_a_web_ui(tmp_path: Path, order: str, suffix: str):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + WEB_UI.encode(order)
    found = read(picture(tmp_path / f"a{suffix}", exif=exif))
    assert (found.declares_ai, found.generator) == (True, "a Stable Diffusion web UI")


def test_exif_of_a_camera_and_of_comfyui(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Canon", "Canon EOS R5", "Firmware 1.5"
    for suffix in (".jpg", ".png", ".webp"):
        found = read(picture(tmp_path / f"a{suffix}", exif=exif))
        assert (found.camera, found.declares_ai, found.generator) == ("Canon EOS R5", None, "")
        assert {tag.name: tag.value for tag in found.tags}["Software"] == "Firmware 1.5"
    exif[0x010F], exif[0x0110] = 'workflow:{"nodes":[]}', 'prompt:{"3":{"class_type":"KSampler"}}'
    found = read(picture(tmp_path / "a.webp", exif=exif))
    assert (found.camera, found.declares_ai, found.generator) == ("", True, "ComfyUI")


def film(path: Path, *metadata: str, keys: bool = True) -> Path:
    said = [option for each in metadata for option in ("-metadata", each)]
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=1", "-c:v", "libx264")
    more = ("-movflags", "+use_metadata_tags") if keys else ()
    command = [find_program(), "-nostdin", "-v", "error", "-y", *source, *said, *more, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_keys_of_cameras_and_generators_in_clips(tmp_path: Path, suffix: str):
    apple = ("com.apple.quicktime.make=Apple", "com.apple.quicktime.model=iPhone 15 Pro")
    found = read(film(tmp_path / f"a{suffix}", *apple))
    assert (found.camera, found.declares_ai) == ("Apple iPhone 15 Pro", None)
    android = ("com.android.manufacturer=Google", "com.android.model=Pixel 9")
    assert read(film(tmp_path / f"b{suffix}", *android)).camera == "Google Pixel 9"
    labelled = read(film(tmp_path / f"c{suffix}", 'AIGC={"Label":"1","ContentProducer":"001"}'))
    assert labelled.declares_ai is True
    workflow = json.dumps({"prompt": {"1": {"class_type": "VAEDecode"}}})
    made = read(film(tmp_path / f"d{suffix}", f"comment={workflow}", keys=False))
    assert (made.declares_ai, made.generator) == (True, "ComfyUI")
    assert {tag.name for tag in made.tags} >= {"handler", "compressor"}


def test_the_items_of_a_heic_and_the_xmp_of_a_clip(tmp_path: Path):
    one = tmp_path / "one.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", "-c:v", "libx265")
    subprocess.run([find_program(), "-nostdin", "-v", "quiet", *source, str(one)], check=True, timeout=60)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Apple", "iPhone 15"
    xmp = packet(f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPES}trainedAlgorithmicMedia"')
    (tmp_path / "a.heic").write_bytes(heic(one, exif=exif.tobytes().removeprefix(b"Exif\0\0"), xmp=xmp))
    found = read(tmp_path / "a.heic")
    assert (found.camera, found.declares_ai) == ("Apple iPhone 15", True)
    clip = film(tmp_path / "b.mp4")
    clip.write_bytes(clip.read_bytes() + box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp))
    assert read(clip).declares_ai is True


def test_every_mark_has_a_source_and_a_pattern_that_stays_quick():
    worst = ["a" * 60_000, "Steps: " * 9_000, '"Label"' + " " * 60_000, "Job ID: " * 8_000, "1" * 60_000]
    for mark in table().marks:
        assert len(mark.source) > 10
        for text in worst:
            begun = time.process_time()
            mark.value.search(text)
            assert time.process_time() - begun < 0.5, mark
    assert {"generated", "edited", "captured"} == {each.value for each in table().source_types.values()}


@pytest.mark.data
def test_photographs_declare_nothing(research_clips: Path):
    files = sorted(path for path in (research_clips.parent / "stills" / "real").rglob("*.jpg"))
    files += sorted((research_clips.parent / "faces").rglob("ffhq*/*.jpg"))
    assert len(files) > 500
    with ProvenanceReader() as reader:
        said = [reader.read(path) for path in files]
    assert {(each.declares_ai, each.content_credentials, each.note) for each in said} == {(None, None, "")}


def test_what_cannot_be_read_is_said_and_raises_nothing(tmp_path: Path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("a fault\nin the reader")

    monkeypatch.setattr(reading, "add_xmp_entries", broken)
    found = read(picture(tmp_path / "a.jpg"))
    assert found.note == "could not be read (RuntimeError: a fault in the reader)"
    assert "FileNotFoundError" in read(tmp_path / "gone.jpg").note


def test_a_file_of_countless_parts_is_left_in_time(tmp_path: Path):
    endless = tmp_path / "endless.mp4"
    endless.write_bytes(box(b"ftyp", b"isom", bytes(4)) + box(b"free") * 1_000_000)
    begun = time.process_time()
    assert read(endless).note == "was looked at in part: the file has too many parts"
    assert time.process_time() - begun < 10
    nested = box(b"ftyp", b"isom", bytes(4))
    inside = box(b"meta", bytes(4), box(b"ilst", *[box(b"\0\0\0\1", box(b"data", b"\0\0\0\1"))] * 40_000))
    endless.write_bytes(nested + box(b"moov", inside, inside, inside))
    assert "in part" in read(endless).note


def test_a_text_that_inflates_for_ever_is_cut(tmp_path: Path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + bytes(4)

    bomb = zlib.compress(bytes(20 << 20), 9)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"parameters\0\0" + bomb) * 500
    found, begun = Contents(), time.process_time()
    read_png(FileBytes(io.BytesIO(content)), found)
    assert time.process_time() - begun < 10
    assert sum(len(entry.value) for entry in found.entries) <= contents.MAX_ENTRIES * contents.MAX_VALUE


@settings(max_examples=300, deadline=2000)
@given(
    st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*", b""])
)
def test_any_bytes_are_read_without_an_error(tmp_path_factory, content: bytes, head: bytes):
    path = tmp_path_factory.getbasetemp() / "any"
    for begin in (head, b"\x89PNG\r\n\x1a\n", b"\0\0\0\x14ftypheic", b"GIF89a"):
        path.write_bytes(begin + content)
        assert look_into(path, Contents()) == ""


@settings(max_examples=300, deadline=2000)
@given(
    st.lists(
        st.sampled_from(
            [
                "<",
                ">",
                "/",
                '"',
                "'",
                "=",
                " ",
                "a:",
                "DigitalSourceType",
                "rdf:resource",
                "&lt;",
                "x",
                "\0",
                "<a:Credit",
            ]
        ),
        max_size=60,
    )
)
def test_any_xmp_is_searched_without_an_error(parts: list[str]):
    found = Contents(xmp="".join(parts).encode())
    add_xmp_entries(found)
    assert all(re.fullmatch("DigitalSourceType|Credit", entry.name) for entry in found.entries)


@pytest.mark.parametrize(
    "part", ["</a:Credit>", "<a:Credit>", "<a:Credit/>", 'a:Credit="', "<a:Credit>&amp;", "<"]
)
def test_xmp_of_one_part_repeated_is_searched_in_time(part: str):
    found, begun = Contents(), time.process_time()
    found.add_xmp(part.encode() * (contents.MAX_PART // len(part)))
    add_xmp_entries(found)
    assert time.process_time() - begun < 5


def test_xmp_expands_no_entity(tmp_path: Path):
    doctype = '<!DOCTYPE x [<!ENTITY a "trainedAlgorithmicMedia"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    xmp = doctype.encode() + packet("", "<i:DigitalSourceType>&a;&b;</i:DigitalSourceType>")
    found = read(picture(tmp_path / "a.jpg", xmp=xmp))
    assert found.declares_ai is None
    assert found.tags == (Tag("XMP", "DigitalSourceType", "&a;&b;"),)


def test_scans_need_no_reader_of_credentials(tmp_path: Path):
    """What a scan imports beforehand has no part of c2pa."""
    script = "import sys, vidscan.scan.pipeline; print([name for name in sys.modules if 'c2pa' in name])"
    import sys

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "[]", ran.stderr
