"""`curate duplicates`: print the largest groups of duplicate records in a run, or count how many
pairs of images have each distance."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from curate.cli import FAILED, OK
from curate.commands.tables import count, number, shortened, table
from curate.inspect.families import Family, largest_families
from manifests.errors import RecipeError
from manifests.run import manifest
from manifests.step.spelling import nearest
from manifests.visible import on_one_line

if TYPE_CHECKING:
    from curate.inspect.image_pairs import ImagePairs


def main(options: argparse.Namespace) -> int:
    _check_step(options.run, options.step)
    if options.pairs is not None:
        return _pairs(options)
    found = largest_families(options.run, options.top, options.members, options.step)
    if options.json:
        print(json.dumps([_as_json(family) for family in found], indent=1, ensure_ascii=False))
    elif not found:
        print("no duplicates were dropped")
    else:
        print("\n\n".join(map(_listed, found)))
    return OK


def _pairs(options: argparse.Namespace) -> int:
    """Print how many pairs of images there are at each distance, and draw a sample of the pairs
    into files. Returns FAILED if a pair cannot be drawn, because an image cannot be opened."""
    from curate.inspect.image_pairs import image_pairs
    from curate.inspect.pair_files import draw_pairs

    found = image_pairs(options.run, options.each, options.step)
    files = draw_pairs(options.run, found.sampled, options.pairs, options.base)
    drawn = Counter(file.pair.bits for file in files if file.path)
    if options.json:
        numbers = {k: v for k, v in found._asdict().items() if k != "sampled"}
        print(json.dumps({**numbers, "drawn": sum(drawn.values()), "folder": options.pairs}))
    else:
        rows = enumerate(zip(found.pairs, found.alike, strict=True))
        shown = [
            (bits, pairs, alike, drawn[bits])
            for bits, (pairs, alike) in rows
            if pairs or not bits % 2  # odd distances are rare: docs/duplicates.md
        ]
        print(table(("bits", "pairs", "look the same", "drawn"), shown))
        print(f"\n{_compared(found)}\n\n{_settings(found)}")
        print(f"{count(sum(drawn.values()), 'pair')} drawn in {options.pairs}, by bits")
    faults = dict.fromkeys(file.fault for file in files if file.fault)
    for fault in faults:
        moved = "If the file was moved, name its new folder with --base FOLDER."
        print(f"curate: {on_one_line(fault)} {moved}", file=sys.stderr)
    return FAILED if faults else OK


def _compared(found: ImagePairs) -> str:
    whole = f", the first {found.images:,} of {found.known:,} by random keys"
    lines = [f"{count(found.images, 'image')} compared{whole * (found.images < found.known)}"]
    if found.equal:
        lines.append(
            f"{found.equal:,} of them with the same hash and colours as another image, "
            "which counts for all of them"
        )
    if found.without:
        lines.append(f"{count(found.without, 'image')} without a hash, because of almost no detail")
    return "\n".join(lines)


def _settings(found: ImagePairs) -> str:
    joined = sum(found.alike[: found.distance + 1])
    return (
        f"distance {found.distance}, colour_distance {found.colour_distance:g}: of "
        f"{count(sum(found.pairs[: found.distance + 1]), 'pair')} within the distance, "
        f"{joined:,} look the same"
    )


def _check_step(out: str, step: str | None) -> None:
    known = [a.step for a in manifest.load_run(out).ledger]
    if step is not None and step not in known:
        raise RecipeError(f"no step named '{step}' in this run.", out, nearest(step, known))


def _as_json(family: Family) -> dict[str, object]:
    return {**family._asdict(), "members": [member._asdict() for member in family.members]}


def _listed(family: Family) -> str:
    """Format a group of duplicate records as text: one line for the record that was kept, then one
    line for each record that was dropped, and its text if it is another one."""
    origin = on_one_line(family.origin or "in an earlier corpus")
    lines = [f"{family.dropped:,} dropped by {family.step}; kept: {family.survivor}  {origin}"]
    if family.text:
        lines.append("  " + shortened(family.text))
    for one in family.members:
        of = "" if one.of == family.survivor else f"  duplicate of {one.of}"
        lines.append(f"  {number(one.similarity):>6}  {one.id}  {on_one_line(one.origin)}{of}")
        if one.text and one.text != family.text:
            lines.append(f"          {shortened(one.text)}")
    if family.dropped > len(family.members):
        lines.append(f"          and {family.dropped - len(family.members):,} more")
    return "\n".join(lines)
