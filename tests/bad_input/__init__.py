"""What bad input gets: each kind a named outcome, through a whole run, and the rest survives.

`docs/failures.md` is the table of these.
"""
