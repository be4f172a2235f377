"""`curate init`: write a commented recipe to start from."""

from __future__ import annotations

import argparse

from manifests import storage
from manifests.errors import RecipeError

RECIPE = """\
# yaml-language-server: $schema=recipe.schema.json     (curate schema > recipe.schema.json)
#
# curate plan recipe.yaml            what would run
# curate probe recipe.yaml           measure a sample, drop nothing: helps to choose thresholds
# curate run recipe.yaml -o out/     run it; after a change, only what depends on it is redone

name: captions
seed: 17                  # every random decision is a hash of this and the record's id

sources:                  # `curate readers` lists the formats
  - name: web
    reader: webdataset    # tars of KEY.jpg, KEY.txt, KEY.json, as img2dataset writes them
    path: data/web/*.tar  # a file, a folder or a glob; local, s3:// or gs://
# - name: photos
#   reader: folder        # images with .txt or .json files beside them
#   path: data/photos

steps:                    # run in this order; `curate steps` lists them
  - image_shape: {min_side: 64, max_aspect: 3}
  - language: {keep: [en, zh, ja], min_score: 0.3}        # some short Chinese texts look Japanese
  - words: {min: 3, max: 256, only: {language: en}}       # `only`: limits a step to some rows
  - characters: {min: 4, max: 512, only: {language: [zh, ja]}}  # written without spaces
  - character_repetition: {max: 0.2}
  - image_decodes         # quarantines images that are broken
# - preset: datacomp_basic          published thresholds, with their evidence
# - sample: {records: 100000}

shards:
  formats: [arrow]        # or jsonl (Qwen fine-tuning), webdataset, keep_list
  shard_bytes: 512MB
# columns: [words.count]  # measures to write with each record

# media: {max_pixels: 89478485}
# max_quarantined: 0.01   # share (below 1) or number of quarantined inputs above which a run fails
# max_cpu_seconds: 30     # CPU seconds after which a record that hangs is quarantined
"""


def main(options: argparse.Namespace) -> int:
    if storage.exists(options.path):
        raise RecipeError(
            "this file exists already", options.path, "Name another file, or delete this file."
        )
    storage.write_bytes(options.path, RECIPE.encode())
    print(f"wrote {options.path}. Edit its sources, then: curate plan {options.path}")
    return 0
