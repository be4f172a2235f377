"""The parts that grounding readers share: annotations, their space, and their records."""
