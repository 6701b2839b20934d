from __future__ import annotations

import pytest
from vidscan_training.fitting.pace import Pace, pace_of, steps_that_fit
from vidscan_training.fitting.progress import StepClock

from vidscan.errors import UsageError


def test_the_pace_is_read_off_the_second_epoch():
    clock = StepClock()
    clock.starts = [12.0, 100.0]
    clock.steps = [[50.0, 51.0, 52.0], [103.0, 106.0, 109.0]]
    clock.epochs = [90.0, 116.0]
    pace = pace_of(clock, began=5.0)
    assert pace == Pace(start=45.0, step=3.0, epoch=7.0 + 10.0, scoring=38.0, validation=7.0)


def test_as_many_steps_are_planned_as_fit_into_the_time_left():
    pace = Pace(start=60.0, step=0.5, epoch=10.0, scoring=25.0, validation=5.0)
    # Compiling takes 20 s four more times in all after the training, scoring twice as many crops 10 s.
    surroundings = 60 + 20 + 4 * 10 + 2 * (20 + 2 * 5) + 2 * 20
    steps = steps_that_fit(pace, 1000.0, validations=4, crops_to_score=2.0)
    assert steps == int((0.95 * 1000 - surroundings) / 0.5)
    with pytest.raises(UsageError, match=r"no time is left to train in: 3\.8 minutes.*--minutes"):
        steps_that_fit(pace, 230.0, validations=4, crops_to_score=2.0)
