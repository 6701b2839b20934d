"""Damages media: single bytes, whole stretches, and the atoms of MP4 and MOV. All of it seeded."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

Mutation = Callable[[bytearray, random.Random], None]

_TELLING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_CONTAINERS = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"moof", b"traf", b"mvex")
)


def mutate(content: bytes, others: Sequence[bytes], rng: random.Random, *, atoms: bool) -> tuple[bytes, str]:
    """A damaged copy, and what was done to it.

    Args:
        content: the sound file.
        others: files to splice pieces of.
        rng: decides all; the same seed gives the same bytes.
        atoms: it is an MP4 or MOV, whose atoms can be damaged too.
    """
    damaged, done = bytearray(content), []
    choices: list[Mutation] = list(_ATOM_MUTATIONS if atoms and rng.random() < 0.6 else _MUTATIONS)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(choices)
        mutation(damaged, rng)
        done.append(mutation.__name__)
    if others and rng.random() < 0.05:
        start = rng.randrange(len(damaged) + 1)
        damaged[start:] = rng.choice(others)[start:]
        done.append("splice")
    return bytes(damaged), "+".join(done)


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but as often as not near the beginning or the end, where headers and indexes lie."""
    size = max(1, len(data))
    near = rng.randrange(min(size, 2048))
    return rng.choice((near, size - 1 - near, rng.randrange(size), rng.randrange(size)))


def _stretch(data: bytearray, rng: random.Random) -> slice:
    start = _place(data, rng)
    return slice(start, start + rng.choice((1, 4, 16, 188, 1024, max(1, len(data) // 8))))


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 4, 32, 256))):
        if data:
            data[_place(data, rng)] = rng.randrange(256)


def set_number(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    layout = rng.choice((">I", "<I", ">H", "<H"))
    limit = 0xFFFF if layout[1] == "H" else 0xFFFFFFFF
    number = struct.pack(layout, rng.choice(_TELLING) & limit)
    data[start : start + len(number)] = number


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, max(2, len(data))) :]


def blank(data: bytearray, rng: random.Random) -> None:
    where = _stretch(data, rng)
    data[where] = bytes([rng.choice((0, 0xFF))]) * len(data[where])


def remove(data: bytearray, rng: random.Random) -> None:
    del data[_stretch(data, rng)]


def repeat(data: bytearray, rng: random.Random) -> None:
    where = _stretch(data, rng)
    data[where] = data[where] * rng.choice((2, 2, 16))


def insert_noise(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    data[start:start] = rng.randbytes(rng.choice((1, 7, 188, 1000)))


def shuffle_blocks(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((16, 188, 512, 4096))
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    first = rng.randrange(len(blocks))
    some = blocks[first : first + 8]
    rng.shuffle(some)
    blocks[first : first + 8] = some
    data[:] = b"".join(blocks)


_MUTATIONS = (
    flip_bytes,
    flip_bytes,
    set_number,
    set_number,
    cut_off,
    blank,
    remove,
    repeat,
    insert_noise,
    shuffle_blocks,
)


def find_atoms(data: bytes | bytearray) -> list[tuple[int, int]]:
    """(start, end) of every atom that can be found, those inside of others too."""
    found: list[tuple[int, int]] = []
    waiting = [(0, len(data))]
    while waiting and len(found) < 10_000:
        place, end = waiting.pop()
        while place + 8 <= end:
            size, kind = struct.unpack_from(">I4s", data, place)
            if size < 8 or place + size > end:
                break
            found.append((place, place + size))
            if kind in _CONTAINERS:
                waiting.append((place + 8, place + size))
            place += size
    return found


def _atom(data: bytearray, rng: random.Random) -> tuple[int, int]:
    return rng.choice(find_atoms(data) or [(0, len(data))])


def resize_atom(data: bytearray, rng: random.Random) -> None:
    start, end = _atom(data, rng)
    sizes = (0, 1, 7, 8, end - start - 1, end - start + 1, 2 * (end - start), 0x7FFFFFFF, 0xFFFFFFFF)
    data[start : start + 4] = struct.pack(">I", rng.choice(sizes) & 0xFFFFFFFF)


def rename_atom(data: bytearray, rng: random.Random) -> None:
    start, _ = _atom(data, rng)
    kinds = (b"free", b"moov", b"trak", b"stsd", b"stts", b"dref", b"cmov", b"meta", rng.randbytes(4))
    data[start + 4 : start + 8] = rng.choice(kinds)


def repeat_atom(data: bytearray, rng: random.Random) -> None:
    start, end = _atom(data, rng)
    data[start:start] = data[start : min(end, start + 100_000)]


def remove_atom(data: bytearray, rng: random.Random) -> None:
    start, end = _atom(data, rng)
    del data[start:end]


def swap_atoms(data: bytearray, rng: random.Random) -> None:
    (a, a_end), (b, b_end) = sorted((_atom(data, rng), _atom(data, rng)))
    if a_end <= b:
        data[a:b_end] = data[b:b_end] + data[a_end:b] + data[a:a_end]


def set_atom_number(data: bytearray, rng: random.Random) -> None:
    """A count, a size or an offset within an atom's body."""
    start, end = _atom(data, rng)
    fields = max(1, min(64, (end - start - 8) // 4))
    place = start + 8 + 4 * rng.randrange(fields)
    data[place : place + 4] = struct.pack(">I", rng.choice((*_TELLING, rng.getrandbits(32))))


_ATOM_MUTATIONS = (
    resize_atom,
    rename_atom,
    repeat_atom,
    remove_atom,
    swap_atoms,
    set_atom_number,
    set_atom_number,
)
