"""Checks of replies: what shows that a reply is no answer. Each is so certain that it does not
object to what people write about images."""

from recaption.checks.asked import Asked
from recaption.checks.faults import FAULTS, MAX_CHARS, fault_of, text_fault
from recaption.checks.kept import kept_names, kept_numbers

__all__ = ["FAULTS", "MAX_CHARS", "Asked", "fault_of", "kept_names", "kept_numbers", "text_fault"]
