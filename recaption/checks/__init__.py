"""Checks that find bad replies, such as refusals and repetitions. Each check looks for clear signs
only, so that it accepts the captions that people write."""

from recaption.checks.asked import Asked
from recaption.checks.faults import FAULTS, MAX_CHARS, fault_of, text_fault
from recaption.checks.kept import kept_names, kept_numbers

__all__ = ["FAULTS", "MAX_CHARS", "Asked", "fault_of", "kept_names", "kept_numbers", "text_fault"]
