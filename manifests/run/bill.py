"""The bill of a request step: what it has asked and paid for."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Bill(BaseModel):
    """What a request step has asked and paid for in all runs into an output folder."""

    step: str
    requests: int = Field(0, description="replies that were paid for")
    found: int = Field(0, description="how often a reply was found in the journal")
    input_tokens: int = 0
    output_tokens: int = 0
    counted: int = Field(
        0, description="replies whose tokens curate counted, because the endpoint stated none"
    )
    money: float = Field(0.0, description="cost by the prices of the step")
    currency: str = Field("", description="empty if the step has no prices")
    statuses: dict[str, int] = Field(
        default_factory=dict, description="records by value of the step's measure `status`"
    )
    tokens_per_second: float = Field(0.0, description="mean over the last minute of requests")

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def spent(self) -> str:
        """What was paid, such as `120 requests, 45,000 tokens, 0.018 USD`."""
        requests = f"{self.requests:,} request" + ("" if self.requests == 1 else "s")
        money = f", {money_text(self.money, self.currency)}" if self.currency else ""
        return f"{requests}, {self.tokens:,} tokens{money}"


def money_text(money: float, currency: str) -> str:
    """Formats an amount of money: below 10 with four significant digits, otherwise with two
    decimals.

    `money_text(0.001234, "USD") -> "0.001234 USD"`, `money_text(1234.5, "EUR") -> "1,234.50 EUR"`
    """
    small = f"{money:.4g}"
    return f"{money:,.2f} {currency}" if money >= 10 or "e" in small else f"{small} {currency}"
