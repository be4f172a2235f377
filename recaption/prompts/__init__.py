"""Prompts, each a YAML file with a name and a version."""

from recaption.prompts.prompt import PACKAGED, Prompt, load_prompt, prompt_file

__all__ = ["PACKAGED", "Prompt", "load_prompt", "prompt_file"]
