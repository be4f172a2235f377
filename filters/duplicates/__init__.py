"""Finds duplicates, for two steps: `duplicates` drops records, `duplicate_images` drops images.

duplicates.py, duplicate_images.py   the steps: their settings, and which searches they run
kinds/      what makes two units duplicates: equal text or media, MinHash, images, embeddings
phases/     the search, phase by phase; `search.py` runs them in order
files/      the files that one phase writes and a later phase reads
corpus/     units of the corpus: their numbers, their rows, and the index of earlier runs
ranking/    which unit of a family is the best: sort keys, and the values they are computed from
outcome/    the result of the steps for every record

A unit is what is compared: a record, or a single image. A family is a group of units that are
duplicates of each other.
"""
