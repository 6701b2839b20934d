"""The assignment is checked against trying out every one."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidscan.tracking.tracks import assign


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_the_assignment_is_the_cheapest_of_all(data):
    rows = data.draw(st.integers(1, 4))
    columns = data.draw(st.integers(rows, 5))
    cost = st.one_of(st.integers(0, 3).map(float), st.floats(0, 10), st.just(1e6))
    table = data.draw(
        st.lists(st.lists(cost, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )
    chosen = assign(table)
    assert len(set(chosen)) == rows
    cheapest = min(
        sum(table[r][c] for r, c in enumerate(choice)) for choice in permutations(range(columns), rows)
    )
    assert sum(table[r][c] for r, c in enumerate(chosen)) == pytest.approx(cheapest, abs=1e-6)
