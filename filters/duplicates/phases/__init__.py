"""The search for duplicates in five phases. `search.py` runs them in order.

1. `keys.py`: every source writes the hashes and keys of its units, split into ranges.
2. `candidates.py`: every range links equal units and finds candidate pairs of similar units.
3. `verify.py`: candidate pairs are compared exactly, if their kind of duplicate requires it.
4. `forest.py`: all links are reduced to a spanning forest, whose trees are the families.
5. `survivors.py`: the best unit of every family stays.

A source is a part of the corpus, or an index file of an earlier run. A unit is a record or an
image.
"""
