"""Writes the clusters of a run to one HTML file, with small images inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html import escape

from curate.inspect.clusters import ClusterReport, ClusterRow, NearRecord
from curate.inspect.drawing.record_images import opened_image
from curate.inspect.drawn_files import open_media
from manifests import storage
from manifests.errors import MediaError
from manifests.media import Media
from manifests.media.pixels import rgb
from manifests.visible import visible, without_passwords

SIDE = 160
"""The longer side of an image, in pixels (our choice)."""
_QUALITY = 80
"""The JPEG quality of an image (our choice)."""
_TEXT = 300
"""How many characters of a record's text the page shows (our choice)."""

_STYLE = """\
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 1180px; padding: 0 1em;
       color: #1c1c1c; background: #fff }
section { border-top: 1px solid #ccc; padding: 0.8em 0 }
h1 { font-size: 1.4em } h2 { font-size: 1.05em; margin: 0 0 0.3em }
p { margin: 0.2em 0; overflow-wrap: anywhere }
.numbers { color: #555; font-variant-numeric: tabular-nums }
.bar { display: inline-block; width: 80px; height: 9px; background: #e4e4e4 }
.bar i { display: block; height: 9px; background: #b4410e }
.records { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 0.6em }
figure { width: 172px; margin: 0 }
figure img { display: block; max-width: 160px; max-height: 160px }
figcaption { margin-top: 4px; font-size: 12px; overflow-wrap: anywhere; color: #333;
             max-height: 8.4em; overflow: auto }
.fault { border: 1px dashed #b00; color: #b00; font-size: 12px; padding: 6px }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The page loads nothing and runs no script, whatever the texts of the records are."""


def write_page(table: ClusterReport, out: str, path: str, base: str | None) -> list[str]:
    """Write the clusters to the HTML file `path`. Relative uris of images start from `base`; None:
    from the same folder as in the run. Return a message for each image that cannot be opened."""
    media, faults = open_media(out, base), dict[str, None]()
    try:
        page = "".join(_page(table, media, faults))
    finally:
        media.close()
    storage.write_bytes(path, page.encode())
    return [*faults]


def _page(table: ClusterReport, media: Media, faults: dict[str, None]) -> Iterator[str]:
    title = f"Clusters of the step {_shown(table.step)}"
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        f'<p class="numbers">{len(table.rows):,} of {table.clusters:,} clusters, '
        f"{table.records:,} records; {table.without:,} records in no cluster</p>\n"
    )
    if table.quality:
        facts = (f"{_shown(str(k))} {_fact(v)}" for k, v in table.quality.items() if v is not None)
        yield f'<p class="numbers">{", ".join(facts)}</p>\n'
    for row in table.rows:
        yield from _section(row, media, faults)
    yield "</body></html>\n"


def _fact(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _shown(str(value))


def _section(row: ClusterRow, media: Media, faults: dict[str, None]) -> Iterator[str]:
    yield f'<section id="cluster-{row.cluster}"><h2>{row.cluster}: '
    yield f'{_shown(", ".join(row.terms)) or "no terms"}</h2>\n<p class="numbers">'
    yield f"{row.size:,} records, distance {row.distance:.3f}"
    if row.density is not None and row.sparse is not None:
        yield f', density {row.density:.3f}, sparse {row.sparse:.1%} <span class="bar">'
        yield f'<i style="width:{row.sparse:.1%}"></i></span>'
    yield '</p>\n<div class="records">\n'
    for one in row.nearest:
        text = _shown(one.text if len(one.text) <= _TEXT else one.text[: _TEXT - 1] + "…")
        title = f' title="{_shown(one.origin)}"'
        shown = f"{_image(one, media, faults)}<figcaption>{text}</figcaption>"
        yield f"<figure{title}>{shown}</figure>\n"
    yield "</div></section>\n"


def _image(one: NearRecord, media: Media, faults: dict[str, None]) -> str:
    if one.image is None:
        return ""
    try:
        small = rgb(opened_image(one.image, media)).copy()
    except MediaError as error:
        faults[f"{media.resolve(one.image['uri'])}: {error.fault}."] = None
        return f'<div class="fault">{_shown(error.fault)}</div>'
    small.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=_QUALITY)
    encoded = base64.b64encode(data.getvalue()).decode()
    size = f'width="{small.width}" height="{small.height}"'
    return f'<img {size} alt="" src="data:image/jpeg;base64,{encoded}">'


def _shown(text: str) -> str:
    return escape(visible(without_passwords(text)))
