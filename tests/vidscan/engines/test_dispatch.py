"""What each worker gets, and what becomes of the sources of one that died."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vidscan.engines.failure import unread
from vidscan.engines.ray.dispatch import DEATHS_ALLOWED, LEAST_AHEAD, MOST_AHEAD, Dispatch
from vidscan.options import ScanOptions
from vidscan.records import ModelCard, Report, Source, SourceKind, Stats

CARD = ModelCard("toy", "none", 16)


def clips(count: int) -> list[Source]:
    return [Source(str(number), Path(f"{number}.mp4"), SourceKind.VIDEO) for number in range(count)]


def report(source: Source, faces: int = 1) -> Report:
    from dataclasses import replace

    return replace(unread(source, None, ScanOptions(), CARD, ()), stats=Stats(crops_scored=faces))


def filled(dispatch: Dispatch) -> list[Source]:
    """What an empty worker is given until it has enough."""
    held: list[Source] = []
    while (source := dispatch.next_for(held)) is not None:
        held.append(source)
    return held


def test_a_worker_gets_few_long_clips_and_many_stills():
    long, short = Dispatch(clips(1000)), Dispatch(clips(1000))
    for source in clips(20):
        long.reported(report(source, faces=240))
        short.reported(report(source, faces=1))
    assert len(filled(long)) == LEAST_AHEAD
    assert len(filled(short)) == 52
    for source in clips(900):
        short.reported(report(source, faces=0))
    assert len(filled(short)) == MOST_AHEAD


def test_sources_are_read_no_further_than_they_are_given():
    asked = []
    dispatch = Dispatch(asked.append(source) or source for source in clips(100))
    assert asked == []
    held = filled(dispatch)
    assert len(asked) == len(held)
    assert not dispatch.exhausted() and len(asked) == len(held) + 1


def test_what_a_dead_worker_held_is_tried_alone():
    dispatch = Dispatch(clips(9))
    held = filled(dispatch)
    assert dispatch.lost(held) == []
    other = filled(dispatch)
    assert other == held[:1], "nothing else goes to the worker that has a suspect"
    assert dispatch.next_for(clips(9)[8:]) != held[1], "a busy worker gets no suspect"


def test_a_source_that_kills_again_and_again_is_given_up():
    dispatch = Dispatch(clips(1))
    for _ in range(DEATHS_ALLOWED):
        assert dispatch.lost(filled(dispatch)) == []
        assert not dispatch.exhausted()
    killer = filled(dispatch)
    assert dispatch.lost(killer) == killer
    assert dispatch.exhausted()


def test_a_suspect_that_gets_through_is_cleared():
    dispatch = Dispatch(clips(3))
    held = filled(dispatch)
    dispatch.lost(held[:1])
    (suspect,) = filled(dispatch)
    dispatch.reported(report(suspect))
    assert dispatch.next_for([suspect]) is None and dispatch.exhausted()
    assert dispatch.lost([suspect]) == [], "one more death is its first again"


@given(st.lists(st.sampled_from(["done", "dies"]), max_size=60), st.integers(1, 12))
def test_every_source_ends_once_whatever_dies(events: list[str], count: int):
    dispatch = Dispatch(clips(count))
    ended: list[str] = []
    fates = iter(events)
    while not dispatch.exhausted():
        held = filled(dispatch)
        assert held
        if next(fates, "done") == "dies":
            ended += [source.id for source in dispatch.lost(held)]
        else:
            for source in held:
                dispatch.reported(report(source))
                ended.append(source.id)
    assert sorted(ended, key=int) == [source.id for source in clips(count)]
