"""The search for duplicates in five phases. `search.py` runs them in order.

1. `keys.py`: every source writes the identities and keys of its units, split into ranges.
2. `candidates.py`: every range links equal units and finds candidate pairs of near ones.
3. `verify.py`: the candidate pairs of kinds that need it are compared exactly.
4. `forest.py`: all links are reduced to a spanning forest, whose trees are the families.
5. `survivors.py`: of every family the best unit stays.
"""
