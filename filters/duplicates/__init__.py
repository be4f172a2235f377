"""One engine for duplicates: keys, candidate pairs, proof, families, and who stays of each."""
