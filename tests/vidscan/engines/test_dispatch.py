"""What each worker gets, and what becomes of the sources of one that died."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidscan.engines.dispatch import Dispatch
from vidscan.records import Source, SourceKind


class Toy:
    """A worker that notes what it is sent."""

    def __init__(self) -> None:
        self.held: deque[Source] = deque()
        self.sent: list[Source | None] = []

    def send(self, source: Source | None) -> None:
        self.sent.append(source)


def clips(count: int) -> list[Source]:
    return [Source(str(number), Path(f"{number}.mp4"), SourceKind.VIDEO) for number in range(count)]


def asking(dispatch: Dispatch, times: int) -> Toy:
    """A new worker that has asked so often."""
    worker = Toy()
    for _ in range(times):
        assert dispatch.answer(worker)
    return worker


def test_sources_are_taken_no_earlier_than_they_are_asked_for():
    taken = []
    dispatch = Dispatch(taken.append(source) or source for source in clips(100))
    assert taken == []
    worker = asking(dispatch, 3)
    assert worker.sent == list(worker.held) == taken == clips(3)
    assert not dispatch.exhausted() and taken == clips(4)


def test_the_end_finishes_what_is_held_and_then_the_worker_waits():
    dispatch = Dispatch(clips(2))
    worker = asking(dispatch, 3)
    assert worker.sent == [*clips(2), None] and dispatch.exhausted()
    assert [dispatch.finish(worker), dispatch.finish(worker)] == clips(2)
    assert not dispatch.answer(worker) and len(worker.sent) == 3


def test_what_a_dead_worker_held_is_tried_alone():
    dispatch = Dispatch(clips(9))
    dead, busy = asking(dispatch, 3), asking(dispatch, 1)
    assert dispatch.take_back(dead) is None
    assert dispatch.answer(busy) and busy.sent == clips(9)[3:5], "a busy worker gets no suspect"
    other = asking(dispatch, 2)
    assert other.sent == [clips(9)[0], None], "nothing else goes to the worker that has a suspect"


@pytest.mark.parametrize("deaths_allowed", [0, 2])
def test_a_source_that_kills_is_given_up(deaths_allowed: int):
    dispatch = Dispatch(clips(1), deaths_allowed)
    for _ in range(deaths_allowed):
        assert dispatch.take_back(asking(dispatch, 1)) is None
        assert not dispatch.exhausted()
    assert dispatch.take_back(asking(dispatch, 1)) == clips(1)[0]
    assert dispatch.exhausted()


def test_no_source_is_given_up_that_was_never_alone():
    dispatch = Dispatch(clips(2))
    both = asking(dispatch, 2)
    assert dispatch.take_back(both) is None
    assert dispatch.take_back(asking(dispatch, 1)) == clips(2)[0]
    assert dispatch.finish(asking(dispatch, 1)) == clips(2)[1]


def test_a_suspect_that_gets_through_is_cleared():
    dispatch = Dispatch(clips(2), deaths_allowed=1)
    dispatch.take_back(asking(dispatch, 1))
    worker = asking(dispatch, 1)
    dispatch.finish(worker)
    assert dispatch.answer(worker) and worker.held == deque(clips(2)[1:])
    worker.held = deque(clips(1))
    assert dispatch.take_back(worker) is None, "one more death is its first again"


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=60), st.integers(1, 12), st.integers(0, 2)
)
def test_every_source_ends_once_whatever_dies(fates: list[tuple[bool, int]], count: int, deaths_allowed: int):
    dispatch = Dispatch(clips(count), deaths_allowed)
    ended: list[Source] = []
    waiting = iter(fates)
    while not dispatch.exhausted():
        dies, questions = next(waiting, (False, 1))
        worker = asking(dispatch, questions)
        assert worker.held
        if dies:
            given_up = dispatch.take_back(worker)
            ended += [] if given_up is None else [given_up]
        else:
            ended += [dispatch.finish(worker) for _ in range(len(worker.held))]
    assert sorted(ended, key=lambda source: int(source.id)) == clips(count)
