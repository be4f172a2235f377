"""Numbers and reads the units that are compared (records or single images), in the corpus and in
the index files of earlier runs."""
