"""The type of a setting that is a number of records or tokens, with or without a unit: `2B`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt

_COUNT = re.compile(r"(\d{1,19}(?:\.\d{1,19})?)\s*([kMBT])?", re.ASCII)
_UNITS = {None: 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def whole_number(value: Any) -> Any:
    """Converts text, with or without a unit, to a number; returns any other value unchanged.

    `whole_number("2B") -> 2_000_000_000`, `whole_number("1.5M") -> 1_500_000`
    """
    if not isinstance(value, str):
        return value
    found = _COUNT.fullmatch(value.strip())
    count = Fraction(found[1]) * _UNITS[found[2]] if found else Fraction(1, 2)
    if count.denominator != 1:
        raise ValueError(
            f"{value!r:.80} is not a whole number; write 2000000, or a number with a unit: 2M "
            "(k, M, B for 10^9, T)"
        )
    return int(count)


Count = Annotated[NonNegativeInt, BeforeValidator(whole_number, json_schema_input_type=int | str)]
