"""Media files: references to their bytes, headers of images, and images decoded at the scale that
the steps need."""

from manifests.media.limits import Limits
from manifests.media.media import FIX_MISSING_FILE, KEPT, Decoded, Media
from manifests.media.reference import Reference, references

__all__ = [
    "FIX_MISSING_FILE", "KEPT", "Decoded", "Limits", "Media", "Reference", "references",
]  # fmt: skip
