"""From records to training shards: their order, their rows, and the four formats they come in."""
