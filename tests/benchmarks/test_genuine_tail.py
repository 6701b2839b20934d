"""The tail of genuine people's odds: a power law gives its own exponent."""

from __future__ import annotations

import math

import pytest
from genuine_tail import logit, tail_rows


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_a_power_law_gives_its_exponent_in_every_row(power: float):
    people = 100_000
    logits = [-math.log((number + 0.5) / people) / power for number in range(people)]
    rows = list(tail_rows(logits, [0.0, 0.5, 1.0, 1.5]))
    assert [float(row[-1]) for row in rows[1:]] == pytest.approx([power] * 3, abs=0.1)


def test_where_nobody_is_beyond_the_exponent_is_a_bound():
    rows = list(tail_rows([0.5, 0.5, 0.5, 0.5], [0.0, 1.0, 2.0]))
    assert rows[0][2:] == ("4", "100.0%", "—")
    assert rows[1][2:] == ("0", "0.0%", f"at least {math.log(4):.1f}")
    assert rows[2][-1] == "at least 0.0"


def test_logit_is_the_logarithm_of_the_odds():
    assert logit(0.75) == pytest.approx(math.log(3))
