"""Sends the requests of steps to an OpenAI-compatible endpoint, and keeps every reply in a
journal."""

from recaption.client.client import Client

__all__ = ["Client"]
