"""The parts that grounding readers share: annotations, their space, and the records of them."""
