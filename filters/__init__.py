"""What decides that a record goes: counts, shapes, languages, repetition."""
