"""Files of texts, images or embeddings beside a recipe, with which records are compared: items of
benchmarks, examples."""
