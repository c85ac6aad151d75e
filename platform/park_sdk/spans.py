"""Arithmetic over spans: runs of rows that lie one after the other in arrays. What the alarm kernel is made of."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from park_sdk.frame import FOREVER, Bools, Int32s, Int64s, Rows

BLOCK: Final = 256
"""How many rules share one lower bound of their next due time."""


def later(time: Int64s, delay: Int64s) -> Int64s:
    """Time plus a delay that is not negative; FOREVER where the sum exceeds it."""
    total = time + delay
    return np.where(total < time, FOREVER, total)


def spread(first: Rows, count: Rows) -> tuple[Rows, Rows]:
    """The indices first, first + 1, … (`count` of them) of every span in turn, and the span that each belongs to."""
    owner = np.repeat(np.arange(len(count)), count)
    return np.arange(len(owner)) + (first - np.cumsum(count) + count)[owner], owner


def carry(marks: Bools) -> Rows:
    """For every position the last marked one up to it. The first position must be marked."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks)), 0))


def begins(owner: Rows | Int32s) -> Bools:
    """Where a new owner begins in an array of equal owners side by side."""
    marks = np.ones(len(owner), np.bool_)
    marks[1:] = owner[1:] != owner[:-1]
    return marks


def ends(owner: Rows) -> Bools:
    """Where an owner ends in an array of equal owners side by side."""
    marks = np.ones(len(owner), np.bool_)
    marks[:-1] = owner[1:] != owner[:-1]
    return marks


def united(*parts: Rows) -> Rows:
    """All the indices that occur, ascending. numpy's own `unique` hashes, which costs ten times as much here."""
    rows = np.sort(np.concatenate(parts))
    return rows[begins(rows)]


def among(rows: Rows, ordered: Rows) -> Bools:
    """Which of these rows occur in an ascending array."""
    if not len(ordered):
        return np.zeros(len(rows), np.bool_)
    return ordered[np.minimum(np.searchsorted(ordered, rows), len(ordered) - 1)] == rows


def last_older(time: Int64s, low: Rows, high: Rows, at: Int64s) -> Rows:
    """For every span low..high of ascending times the last index with time < at; `low` where there is none."""
    while (opened := low < high).any():
        middle = (low + high + 1) // 2
        older = time[middle] < at
        low = np.where(opened & older, middle, low)
        high = np.where(opened & ~older, middle - 1, high)
    return low


def block_rows(blocks: Rows, n: int) -> Rows:
    """The rows of these blocks of n rows."""
    return spread(blocks * BLOCK, np.minimum(BLOCK, n - blocks * BLOCK))[0]


def block_minima(due: Int64s, blocks: Rows) -> NDArray[np.int64]:
    """The earliest due of each of these blocks."""
    if not len(blocks):
        return np.empty(0, np.int64)
    starts = np.arange(len(blocks)) * BLOCK
    return np.minimum.reduceat(due[block_rows(blocks, len(due))], starts)
