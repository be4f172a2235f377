"""The phases of the engine, in order: keys, ranges, proof, forest, survivors, outcomes."""
