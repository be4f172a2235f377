"""Media: references to bytes, image headers, and images decoded at the scale that a pass needs."""

from manifests.media.limits import Limits
from manifests.media.media import FIX_MISSING_FILE, KEPT, Decoded, Media
from manifests.media.reference import Reference, references

__all__ = [
    "FIX_MISSING_FILE", "KEPT", "Decoded", "Limits", "Media", "Reference", "references",
]  # fmt: skip
