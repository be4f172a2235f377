"""Generates sound and damaged inputs for every reader, and checks the books from outside.

    python -m tests.hunt --reader table --count 1000 --seed 7

Each trial makes a small sound source in a reader's dialect, whose records are known, and then
damages it. What the reader makes of both is compared with what was generated, and with a count by
other means (csv, json, tarfile, xml, pyarrow).
"""
