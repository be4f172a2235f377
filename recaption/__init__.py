"""The package for steps that write new captions with a vision-language model. There are no such
steps yet."""
