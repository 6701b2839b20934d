from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_samples import clip, interview, too_small

from vidscan.records import Report
from vidscan.report.terminal.strip import LEVELS, UNJUDGED, UNSEEN, colour, cuts_below, strip

SEEN = st.floats(0, 1)


def with_times(report: Report, times: Sequence[float]) -> Report:
    moved = [replace(point, time_s=time_s) for point, time_s in zip(report.timeline, times, strict=True)]
    return replace(report, timeline=tuple(moved))


def test_a_clip_as_it_is_drawn() -> None:
    report = clip(scores=[[0.0, 0.2, 0.4, 0.55, 0.7, 0.8, None, None, 0.95, 1.0]])
    assert strip(report, 10).plain == "▁▂▄▅▆▇··██"
    assert strip(report, 25).plain == "▁▁▂▂▄▄▅▅▆▆▇▇····████"
    assert strip(report, 5).plain == "▂▅▇·█"


@given(SEEN, SEEN)
def test_a_higher_score_never_shows_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    drawn = strip(clip(scores=[[low, high]]), 2).plain
    assert LEVELS.index(drawn[0]) <= LEVELS.index(drawn[1])


def test_colour_goes_from_green_over_yellow_to_red() -> None:
    def channels(score: float) -> tuple[int, int]:
        code = colour(score)
        return int(code[1:3], 16), int(code[3:5], 16)

    (low_red, low_green), (mid_red, mid_green), (high_red, high_green) = map(channels, (0.0, 0.5, 1.0))
    assert low_green > 2 * low_red
    assert abs(mid_red - mid_green) < 60
    assert high_red > 2 * high_green


def test_each_block_has_the_colour_of_its_score() -> None:
    drawn = strip(clip(scores=[[0.05, 0.95]]), 2)
    assert [span.style for span in drawn.spans] == [colour(0.05), colour(0.95)]


def test_a_track_shows_its_own_scores_and_gaps() -> None:
    report = clip(scores=[[0.9, 0.9, None, 0.9], [None, 0.1, 0.1, 0.1]])
    assert strip(report, 4, {1}).plain == "██·█"
    assert strip(report, 4, {2}).plain == "·▁▁▁"
    assert strip(report, 4, {1, 2}).plain == strip(report, 4).plain == "██▁█"


def test_a_face_that_was_not_judged_is_neither_a_score_nor_a_gap() -> None:
    report = interview()
    assert strip(report, 13, {1, 4}).plain == "▃▆██····██▅█·"
    assert strip(report, 13, {3}).plain == "····????·····"
    assert strip(report, 13).plain == "▃▆██▁▂▁▂██▅█·", "a score stands before none"
    assert set(strip(too_small(), 4).plain) == {UNJUDGED}


def test_cuts_stand_below_the_block_that_begins_a_shot() -> None:
    assert cuts_below(interview(), 13) == "    ╵   ╵"
    assert cuts_below(interview(), 26) == "        ╵       ╵"
    assert cuts_below(clip(), 30) == ""


def test_cuts_too_many_to_be_told_apart_are_left_out() -> None:
    report = interview()
    crowded = replace(report, stats=replace(report.stats, cuts_s=tuple(at / 2 for at in range(1, 13))))
    assert cuts_below(crowded, 13) == ""


def test_one_short_peak_in_a_long_clip_is_not_averaged_away() -> None:
    scores = [0.02] * 1000
    scores[437] = 0.99
    drawn = strip(clip(scores=[scores]), 50).plain
    assert drawn.count("█") == 1
    assert abs(drawn.index("█") - 50 * 437 / 1000) <= 1


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 400),
    st.integers(1, 130),
    st.floats(0.03, 7.0),
    st.lists(st.floats(-0.2, 0.2), min_size=8, max_size=8),
    st.floats(-0.9, 0.9),
)
@example(frames=2, columns=3, step_s=1.0, jitter=[0.0, -0.2, *[0.0] * 6], tail=0.9)
def test_a_face_that_is_always_there_has_no_gaps(
    frames: int, columns: int, step_s: float, jitter: list[float], tail: float
) -> None:
    """Sampling times that waver and a duration that ends within a step do not open gaps."""
    report = clip(scores=[[0.5] * frames], step_s=step_s)
    times = [max(0.0, (at + (jitter[at % 8] if at else 0)) * step_s) for at in range(frames)]
    duration = max((frames - 0.4 + tail / 2) * step_s, times[-1])
    report = with_times(replace(report, stats=replace(report.stats, duration_s=duration)), times)
    drawn = strip(report, columns).plain
    assert 1 <= len(drawn) <= columns
    assert UNSEEN not in drawn


@settings(max_examples=100, deadline=None)
@given(
    st.lists(SEEN | st.none(), min_size=1, max_size=60).filter(lambda row: any(s is not None for s in row))
)
def test_with_room_for_all_every_moment_has_its_block(row: list[float | None]) -> None:
    drawn = strip(clip(scores=[row]), 60).plain
    each = len(drawn) // len(row)
    seen = [drawn[at * each] != UNSEEN for at in range(len(row))]
    assert seen == [score is not None for score in row]


@pytest.mark.parametrize("duration", [None, 0.0, 3.0])
def test_a_single_moment_is_drawn(duration: float | None) -> None:
    report = clip(scores=[[0.9]])
    report = replace(report, stats=replace(report.stats, duration_s=duration))
    assert set(strip(report, 40).plain) == {"█"}


def test_without_a_known_duration_the_last_moment_ends_it() -> None:
    report = clip(scores=[[0.1, 0.9, None, 0.9]])
    report = replace(report, stats=replace(report.stats, duration_s=None))
    assert strip(report, 4).plain == "▁█·█"
