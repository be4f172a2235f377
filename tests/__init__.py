"""Tests: mirror the packages; a test's name is the rule it proves."""
