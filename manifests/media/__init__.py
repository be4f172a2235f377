"""Media: references to bytes, and images opened at the scale that a pass needs."""

from manifests.media.limits import Limits
from manifests.media.media import BRING_IT, KEPT, Media
from manifests.media.reference import Reference, references

__all__ = [
    "BRING_IT", "KEPT", "Limits", "Media", "Reference", "references",
]  # fmt: skip
