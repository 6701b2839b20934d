"""The assignment problem: rows to columns so that the summed cost is smallest."""

from __future__ import annotations

import math
from collections.abc import Sequence


def assign(table: Sequence[Sequence[float]]) -> list[int]:
    """Returns a column for each row, none twice, so that the summed cost is smallest.

    Exact, by shortest augmenting paths with dual prices (the Hungarian method; H. W. Kuhn, 1955, in
    the form of R. Jonker and A. Volgenant, 1987): O(rows² · columns). ``table`` needs at least as many
    columns as rows. Plain lists: for the few faces of a frame they are faster than arrays.
    """
    columns = len(table[0])
    row_price = [0.0] * len(table)
    column_price = [0.0] * columns
    owner: list[int | None] = [None] * columns
    for start in range(len(table)):
        shortest = [math.inf] * columns
        previous: list[int | None] = [None] * columns
        unvisited, visited = set(range(columns)), list[int]()
        row, here = start, None
        while True:
            reached = 0.0 if here is None else shortest[here]
            for column in unvisited:
                length = reached + table[row][column] - row_price[row] - column_price[column]
                if length < shortest[column]:
                    shortest[column], previous[column] = length, here
            # The lowest column among equals, so that the result does not hang on the order of a set.
            nearest = min(unvisited, key=lambda column: (shortest[column], column))
            unvisited.remove(nearest)
            next_row = owner[nearest]
            if next_row is None:
                break
            visited.append(nearest)
            row, here = next_row, nearest
        total = shortest[nearest]
        row_price[start] += total
        for column in visited:
            slack = total - shortest[column]
            column_price[column] -= slack
            taken_by = owner[column]
            assert taken_by is not None
            row_price[taken_by] += slack
        end: int | None = nearest
        while end is not None:
            before = previous[end]
            owner[end] = start if before is None else owner[before]
            end = before
    found = {row: column for column, row in enumerate(owner) if row is not None}
    return [found[row] for row in range(len(table))]
