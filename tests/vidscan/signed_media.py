"""Signs media as generators and cameras do, with certificates made on the spot; and makes a HEIC to sign."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MIMES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".avif": "image/avif",
    ".tiff": "image/tiff",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".jxl": "image/jxl",
}


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Studios"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class Authority:
    """A root certificate and a certificate for signing that it issued; all in PEM."""

    root: bytes
    chain: bytes
    key: bytes

    def signer(self) -> c2pa.Signer:
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", self.chain, self.key, None))


def authority(valid: timedelta = timedelta(days=30)) -> Authority:
    """A new authority, whose certificates hold for a while from now on (C2PA 2.2, 14.5)."""
    begin = datetime.now(UTC) - timedelta(days=1)
    end = datetime.now(UTC) + valid
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, number: int) -> x509.CertificateBuilder:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name("Test root"))
        builder = builder.public_key(key.public_key()).serial_number(number)
        return builder.not_valid_before(begin).not_valid_after(end).add_extension(identifier, critical=False)

    def usage(*, signing: bool) -> x509.KeyUsage:
        others = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment"), False)
        more = dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False)
        authority = {"key_cert_sign": not signing, "crl_sign": not signing}
        return x509.KeyUsage(digital_signature=signing, **others, **more, **authority)

    root = certificate("Test root", root_key, 1)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    root = root.add_extension(usage(signing=False), critical=True)
    leaf = certificate("Test signer", leaf_key, 2)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(usage(signing=True), critical=True)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = leaf.add_extension(purpose, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = leaf.add_extension(issuer, critical=False)
    pems = [each.sign(root_key, hashes.SHA256()).public_bytes(_PEM) for each in (root, leaf)]
    secret = leaf_key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Authority(pems[0], pems[1] + pems[0], secret)


_PEM = serialization.Encoding.PEM


def created(
    source_type: str = "trainedAlgorithmicMedia", software: str = "Toy Generator 3"
) -> dict[str, Any]:
    """The action that made a picture."""
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + source_type}
    return action | {"softwareAgent": {"name": software}}


def sign(
    path: Path,
    signed: Path,
    by: Authority,
    actions: Sequence[dict[str, Any]] | None = None,
    *,
    parent: Path | None = None,
    relation: str = "parentOf",
    filler: int = 0,
) -> Path:
    """Writes a file with credentials.

    ``parent`` is an ingredient, of which c2pa tells by itself that it was opened, where there are no
    ``actions``. ``filler``: bytes of a thumbnail, which can be as large as one likes.
    """
    stated = [created()] if actions is None else actions
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": "Toy Signer", "version": "1.2"}],
        "title": path.name,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": list(stated)}}] if stated else [],
    }
    if filler:
        manifest["thumbnail"] = {"format": "image/jpeg", "identifier": "thumbnail"}
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    with c2pa.Context.from_dict(settings) as context, c2pa.Builder(json.dumps(manifest), context) as builder:
        if not stated:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        if filler:
            builder.add_resource("thumbnail", io.BytesIO(bytes(filler)))
        if parent is not None:
            about = json.dumps({"title": parent.name, "relationship": relation})
            builder.add_ingredient(about, MIMES[parent.suffix], io.BytesIO(parent.read_bytes()))
        with path.open("rb") as source, signed.open("w+b") as target:
            builder.sign(by.signer(), MIMES[path.suffix], source, target)
    return signed


def box(kind: bytes, *content: bytes) -> bytes:
    """An ISO base media box."""
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), kind) + whole


def heic(clip: Path, *, exif: bytes = b"", xmp: bytes = b"") -> bytes:
    """A HEIC of the one HEVC frame of an MP4, with metadata items where they are given."""
    content = clip.read_bytes()
    at = content.index(b"hvcC") - 4
    configuration = content[at : at + int.from_bytes(content[at : at + 4], "big")]
    at = content.index(b"mdat")
    picture = content[at + 4 : at - 4 + int.from_bytes(content[at - 4 : at], "big")]
    items = [(1, b"hvc1", b"\0", picture)]
    if exif:
        items.append((2, b"Exif", b"\0", bytes(4) + exif))
    if xmp:
        items.append((3, b"mime", b"\0application/rdf+xml\0", xmp))
    kinds = (
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, name)
        for number, kind, name, _ in items
    )
    iinf = box(b"iinf", bytes(4), struct.pack(">H", len(items)), *kinds)
    shape = box(b"ispe", bytes(4), struct.pack(">II", 64, 64))
    iprp = box(
        b"iprp",
        box(b"ipco", configuration, shape),
        box(b"ipma", bytes(4), struct.pack(">IHB", 1, 1, 2), b"\x81\x02"),
    )
    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def meta(start: int) -> bytes:
        places, offset = b"", start
        for number, _, _, part in items:
            places += struct.pack(">HHHHII", number, 0, 0, 1, offset, len(part))
            offset += len(part)
        iloc = box(b"iloc", b"\1\0\0\0", b"\x44\x00", struct.pack(">H", len(items)), places)
        hdlr = box(b"hdlr", bytes(8), b"pict", bytes(13))
        return box(b"meta", bytes(4), hdlr, box(b"pitm", bytes(4), b"\0\1"), iloc, iinf, iprp)

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *(part for _, _, _, part in items))
