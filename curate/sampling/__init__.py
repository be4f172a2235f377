"""Which records are kept, and how many: one mechanism of selection."""
