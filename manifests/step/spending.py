"""Settings of request steps about money: the prices of an endpoint, and a budget."""

from __future__ import annotations

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    field_validator,
)

from manifests.setting_values import plain_number

PER_TOKENS = 1_000_000
"""The number of tokens that a price is for, as in the price lists of endpoints."""


class Prices(BaseModel):
    """What an endpoint charges. `Prices(input=0.2, output=0.6).money(1, 1000, 500) -> 0.0005`"""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: NonNegativeFloat = Field(0.0, description="money for a million input tokens")
    output: NonNegativeFloat = Field(0.0, description="money for a million output tokens")
    request: NonNegativeFloat = Field(0.0, description="money for a request")
    currency: str = Field("USD", pattern=r"^[A-Za-z]{2,8}$", description="code, such as USD")

    _plain_numbers = field_validator("*", mode="before")(plain_number)

    def money(self, requests: float, input_tokens: float, output_tokens: float) -> float:
        tokens = input_tokens * self.input + output_tokens * self.output
        return requests * self.request + tokens / PER_TOKENS


class Budget(BaseModel):
    """The most that a request step may spend in all runs into an output folder. A limit of null
    means no limit. With a limit of 0 no request is sent, and only the replies in the journal are
    used."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests: NonNegativeInt | None = Field(None, description="most replies that are paid for")
    tokens: NonNegativeInt | None = Field(None, description="most input and output tokens together")
    money: NonNegativeFloat | None = Field(None, description="most money by the prices of the step")

    _plain_numbers = field_validator("*", mode="before")(plain_number)
