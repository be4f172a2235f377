"""Reserved for steps that write new captions with a vision-language model. It has no steps yet."""
