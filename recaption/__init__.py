"""Captions written anew by a vision-language model. Empty so far: only the name is held."""
