"""Ranks the records of a part; a sample takes records in the order of their ranks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.sampling.selection.exponentials import exponentials, logarithm
from manifests import record
from manifests.errors import RowError, StepError
from manifests.step import RowErrors

SEPARATOR = "\x1f"
"""Separates the values of several columns in the name of a group: the unit separator of ASCII."""
MAX_AMOUNT = 1 << 40
"""The most tokens that a record may have (our choice). Sums over 8 million such records still fit
64 bits; without a bound, a number that stands for "unlimited" makes them negative."""
_BLOCK_ROWS = 16384
"""How many rows are ranked at a time, so that intermediate arrays fit the CPU cache (our
choice)."""


class Ranked(NamedTuple):
    """The ranks of a part's records. `amount`: how much of its group's budget a record uses.
    `possible`: whether a record can be in the sample; if not, its rank is arbitrary. `unknown`:
    whether a record has no valid weight or number of tokens. `rules`: pairs of a mask of records to
    drop and the reason."""

    group: pa.Array
    rank: np.ndarray
    log_weight: np.ndarray
    amount: np.ndarray
    possible: np.ndarray
    unknown: np.ndarray
    rules: tuple[tuple[np.ndarray, str], ...]
    errors: RowErrors


class Chances(NamedTuple):
    """Which records of a part are kept, if each is decided independently. `probability`: the
    probability to be kept; NaN if it is missing or invalid."""

    rank: np.ndarray
    probability: np.ndarray
    kept: np.ndarray
    errors: RowErrors


def rank_rows(
    rows: pa.Table,
    seed: int,
    by: tuple[str, ...],
    weight: str | None,
    log_weight: str | None,
    counted: str | None,
) -> Ranked:
    """Ranks rows by ln(-ln(u) / weight). u is 1 - x, where x is the random key of the row's id,
    scaled to the range from 0 to 1. `weight`, `log_weight` and `counted` are names of columns; the
    column `counted` states how much of its group's budget a row uses."""
    errors = RowErrors(rows.num_rows)
    logs = _log_weights(rows, weight, log_weight, errors)
    amounts = _amounts(rows, counted, errors)
    no_weight, no_amount, none = np.isnan(logs), np.isnan(amounts), np.isneginf(logs)
    rules = ((no_weight, "no weight"), (none, "weight 0"), (no_amount, "no number of tokens"))
    unknown = no_weight | no_amount
    possible = ~(unknown | none)
    rank = uniform_ranks(rows["id"], seed)
    rank -= np.where(possible, logs, 0)
    whole = np.where(possible, amounts, 0).astype(np.int64)
    return Ranked(groups(rows, by), rank, logs, whole, possible, unknown, rules, errors)


def uniform_ranks(ids: pa.ChunkedArray, seed: int) -> np.ndarray:
    """Returns the ranks of records that all have the weight 1."""
    keys = record.random_keys(ids, seed)
    ranks = np.empty(len(keys), np.float64)
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        ranks[block] = logarithm(exponentials(keys[block]))
    return ranks


def chances_of(rows: pa.Table, column: str, seed: int) -> Chances:
    """Decides each row independently: a row is kept if its random number, from 0 to 1, is below its
    probability. `column` has the probabilities."""
    errors = RowErrors(rows.num_rows)
    given = numbers(rows, column, "probability")
    _refuse(errors, given, (given < 0) | (given > 1), f"the probability '{column}'", "from 0 to 1")
    probability = np.where((given >= 0) & (given <= 1), given, np.nan)
    uniform = record.uniform_numbers(record.random_keys(rows["id"], seed))
    kept = (uniform < probability) | (probability == 1)
    return Chances(uniform_ranks(rows["id"], seed), probability, kept, errors)


def _log_weights(
    rows: pa.Table, weight: str | None, log_weight: str | None, errors: RowErrors
) -> np.ndarray:
    """Returns the logarithm of each row's weight: minus infinity for weight 0, NaN for a weight
    that is missing or invalid."""
    if log_weight is not None:
        logs = numbers(rows, log_weight, "log_weight")
        _refuse(errors, logs, np.isposinf(logs), f"the logarithm '{log_weight}'", "finite")
        return np.where(np.isposinf(logs), np.nan, logs)
    if weight is None:
        return np.zeros(rows.num_rows)
    given = numbers(rows, weight, "weight")
    wrong = (given < 0) | np.isposinf(given)
    _refuse(errors, given, wrong, f"the weight '{weight}'", "finite, and not negative")
    positive = (given > 0) & ~wrong
    logs = logarithm(np.where(positive, given, 1.0))
    return np.where(positive, logs, np.where(given == 0, -np.inf, np.nan))


def _amounts(rows: pa.Table, counted: str | None, errors: RowErrors) -> np.ndarray:
    """Returns how much of a budget each row uses, as float64; NaN if it is missing or invalid."""
    if counted is None:
        return np.ones(rows.num_rows)
    if not pa.types.is_integer(rows[counted].type):
        raise _unusable(rows, counted, "token_column", "whole numbers")
    amounts = numbers(rows, counted, "token_column")
    wrong = (amounts < 0) | (amounts > MAX_AMOUNT)
    _refuse(errors, amounts, wrong, f"the number of tokens '{counted}'", f"0 to {MAX_AMOUNT:,}")
    return np.where(wrong, np.nan, amounts)


def _refuse(
    errors: RowErrors, values: np.ndarray, wrong: np.ndarray, what: str, allowed: str
) -> None:
    for row in np.flatnonzero(wrong).tolist():
        errors.add(row, RowError(f"{what} is {values[row]}", fix=f"It must be {allowed}."))


def numbers(rows: pa.Table, column: str, setting: str) -> np.ndarray:
    """Returns a column of numbers as float64, with NaN for null. `setting` is the setting that
    names the column, for error messages."""
    kind = rows[column].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise _unusable(rows, column, setting, "numbers")
    given = record.one_chunk(rows[column]).cast(pa.float64(), safe=False)
    return np.asarray(given.fill_null(np.nan))


def groups(rows: pa.Table, by: tuple[str, ...]) -> pa.Array:
    """Returns the group of each row: its values in the columns `by`, joined as text."""
    if not by:
        return pa.repeat(pa.scalar(""), rows.num_rows)
    for column in by:
        kind = rows[column].type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind)):
            raise _unusable(rows, column, "by", "text, whole numbers, or true and false")
    columns = [record.one_chunk(rows[column]).cast(pa.string()) for column in by]
    return pc.binary_join_element_wise(
        *columns, SEPARATOR, null_handling="replace", null_replacement="null"
    )


def _unusable(rows: pa.Table, column: str, setting: str, wanted: str) -> StepError:
    kind = rows[column].type
    return StepError(
        f"the column '{column}' has the type {kind}", f"the setting '{setting}'",
        f"Name a column of {wanted}.",
    )  # fmt: skip
