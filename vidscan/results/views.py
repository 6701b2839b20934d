"""What a document refers to and a store holds: results and pictures that are read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from vidscan.records import EvidenceCrop

_Item = TypeVar("_Item")


class Lazy(Sequence[_Item]):
    """The items with these ids, in their order; as often as they are asked for."""

    def __init__(self, ids: Sequence[int], read: Callable[[int], _Item]) -> None:
        """``read`` gives the item of an id. One at a time is in memory: that of a long clip is large."""
        self._ids, self._read = ids, read

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[_Item]:
        return map(self._read, self._ids)

    @overload
    def __getitem__(self, place: int) -> _Item: ...
    @overload
    def __getitem__(self, place: slice) -> Lazy[_Item]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Lazy(self._ids[place], self._read)
        return self._read(self._ids[place])


class LazyEvidence(Mapping[str, Sequence[EvidenceCrop]]):
    """Pictures by the ``source`` of their result; as a mapping, it holds the sources that have any."""

    def __init__(
        self, names: Callable[[], list[str]], read: Callable[[str], tuple[EvidenceCrop, ...]]
    ) -> None:
        """``read`` gives the pictures of a source by its name, none where there are none."""
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> tuple[EvidenceCrop, ...]:
        found = self._read(name)
        if not found:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())
