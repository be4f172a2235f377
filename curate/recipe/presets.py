"""Published filters as lists of steps, with the evidence for every number in them.

`published`: the number stands in the builders' own code or paper, at `where`. `documented`: a
library's or model's authors recommend it. `ours`: we chose it. Where a step of ours measures what
is not exactly what the builders measured, `differs` says how.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Evidence(NamedTuple):
    """Where a number of a preset comes from."""

    kind: Literal["published", "documented", "ours"]
    where: str
    differs: str = ""


class Preset(NamedTuple):
    """Steps as a recipe writes them; `evidence` by `step.setting`; published rules left out."""

    description: str
    steps: list[dict[str, dict[str, Any]]]
    evidence: dict[str, Evidence]
    left_out: list[str]


_DATACOMP = "mlfoundations/datacomp, baselines/apply_filter.py, load_uids_with_basic_filter_helper"
_OBELICS = "huggingface/OBELICS, obelics/configs/config_filter_web_documents.yaml"
_OBELICS_CODE = "huggingface/OBELICS, obelics/processors/web_document_filtering.py"
_DATATROVE = "huggingface/datatrove, src/datatrove/pipeline/dedup/minhash.py, MinhashConfig"
_FINEWEB = "FineWeb (Penedo et al. 2024)"
_NEMO = "NVIDIA/NeMo-Curator, nemo_curator/stages/deduplication/fuzzy/workflow.py"
_SMALL_MODEL = "they use lid.176.bin, we its quantised form lid.176.ftz; "
_BARE_WORDS = (
    "they first strip punctuation, digits and emoji from both ends of each word and leave out "
    "words that end empty; ours are split at whitespace only"
)

PRESETS = {
    "datacomp_basic": Preset(
        description="DataComp's basic filtering of image-text pairs: English captions of a few "
        "words, images neither small nor elongated.",
        steps=[
            {"words": {"min": 3}},
            {"characters": {"min": 6}},
            {"image_shape": {"min_side": 200, "max_aspect": 3.0}},
            {"language": {"keep": ["en"], "max_chars": None}},
        ],
        evidence={
            "language.keep": Evidence(
                "published",
                _DATACOMP,
                _SMALL_MODEL + "we lower-case captions that are mostly capitals, they do not",
            ),
            "language.max_chars": Evidence("published", _DATACOMP + ": the whole caption is read"),
            "words.min": Evidence("published", _DATACOMP + ": len(text.split()) > 2"),
            "characters.min": Evidence("published", _DATACOMP + ": len(text) > 5"),
            "image_shape.min_side": Evidence(
                "published",
                _DATACOMP,
                "they take original_width and original_height, of the image before it was "
                "downloaded and resized; we take the size of the stored image",
            ),
            "image_shape.max_aspect": Evidence("published", _DATACOMP),
        },
        left_out=[],
    ),
    "obelics_document": Preset(
        description="OBELICS' filter of whole interleaved web documents, in so far as there are "
        "steps for it: number of images and words, repetition, special characters, English.",
        steps=[
            {"images": {"min": 1, "max": 30}},
            {"words": {"min": 10, "max": 2000}},
            {"character_repetition": {"n": 10, "max": 0.1}},
            {"word_repetition": {"n": 5, "max": 0.2}},
            {"special_characters": {"max": 0.275}},
            {"language": {"keep": ["en"], "min_score": 0.8, "max_chars": None}},
        ],
        evidence={
            "images.min": Evidence("published", _OBELICS + ": number_images_min_cutoff"),
            "images.max": Evidence("published", _OBELICS + ": number_images_max_cutoff"),
            "words.min": Evidence(
                "published", _OBELICS + ": number_words_doc_level_min_cutoff", _BARE_WORDS
            ),
            "words.max": Evidence(
                "published", _OBELICS + ": number_words_doc_level_max_cutoff", _BARE_WORDS
            ),
            "character_repetition.n": Evidence(
                "published", _OBELICS + ": character_repetition_length_doc_level"
            ),
            "character_repetition.max": Evidence(
                "published",
                _OBELICS + ": character_repetition_doc_level_max_cutoff",
                "they join the texts of a document with a blank line, we with a newline",
            ),
            "word_repetition.n": Evidence(
                "published", _OBELICS + ": word_repetition_length_doc_level"
            ),
            "word_repetition.max": Evidence(
                "published", _OBELICS + ": word_repetition_doc_level_max_cutoff", _BARE_WORDS
            ),
            "special_characters.max": Evidence(
                "published",
                _OBELICS + ": special_character_ratio_doc_level_max_cutoff",
                "they count listed characters, we Unicode categories; alike on printable ASCII",
            ),
            "language.keep": Evidence(
                "published",
                _OBELICS_CODE + ": target_lang_id",
                _SMALL_MODEL + "they lower-case every text, we those that are mostly capitals",
            ),
            "language.min_score": Evidence(
                "published",
                _OBELICS + ": lang_id_doc_level_min_cutoff",
                _SMALL_MODEL + "they lower-case every text, we those that are mostly capitals",
            ),
            "language.max_chars": Evidence(
                "published", _OBELICS_CODE + ": the whole document is read"
            ),
        },
        left_out=[
            "stop words at least 0.35 of the words (a list of English stop words)",
            "flagged words at most 0.01 of the words (a list of words of pornography)",
            "punctuation at least 0.03 of words and punctuation marks",
            "common words at least 0.90 of the words (a list counted on their corpus)",
            "perplexity at most 1500 (their SentencePiece and KenLM models of Wikipedia)",
            "paragraphs (split at blank lines): the same rules with their own numbers; they take "
            "paragraphs out of a document, which no step does yet",
            "images: format jpg, jpeg, png or webp, sides of 150 to 20000 pixels, aspect at most "
            "2; they take images out of a document, which no step does yet",
        ],
    ),
    "datatrove_minhash": Preset(
        description="Near-duplicate text as datatrove finds it, and FineWeb did: 5-grams of words, "
        "14 bands of 8, nothing proven.",
        steps=[
            {
                "duplicates": {
                    "by": "minhash",
                    "tokens": "words",
                    "n": 5,
                    "permutations": 112,
                    "bands": 14,
                    "rows": 8,
                    "verify": False,
                }
            }
        ],
        evidence={
            "duplicates.by": Evidence("published", _DATATROVE),
            "duplicates.n": Evidence("published", _DATATROVE + ": n_grams; " + _FINEWEB),
            "duplicates.tokens": Evidence(
                "published",
                _DATATROVE,
                "they split words by a spaCy tokenizer of the language, write all numbers as 0 and "
                "strip diacritics; ours are runs of letters, marks and digits in lower case",
            ),
            "duplicates.bands": Evidence("published", _DATATROVE + ": num_buckets; " + _FINEWEB),
            "duplicates.rows": Evidence("published", _DATATROVE + ": hashes_per_bucket"),
            "duplicates.permutations": Evidence(
                "published",
                _DATATROVE + ": num_buckets x hashes_per_bucket",
                "they take other hash functions: the same curve, not the same candidates",
            ),
            "duplicates.verify": Evidence("published", _DATATROVE + ": there is no such stage"),
        },
        left_out=["the survivor is the first of its cluster by file and row; ours goes by `keep`"],
    ),
    "nemo_fuzzy": Preset(
        description="Near-duplicate text as NeMo Curator finds it by default: 24-grams of "
        "characters, 20 bands of 13, nothing proven.",
        steps=[
            {
                "duplicates": {
                    "by": "minhash",
                    "tokens": "characters",
                    "n": 24,
                    "permutations": 260,
                    "bands": 20,
                    "rows": 13,
                    "verify": False,
                }
            }
        ],
        evidence={
            "duplicates.by": Evidence("documented", _NEMO),
            "duplicates.tokens": Evidence(
                "documented",
                _NEMO + ": char_ngrams",
                "they take the text as it is; ours are in lower case, a run of whitespace is one "
                "space",
            ),
            "duplicates.n": Evidence("documented", _NEMO + ": char_ngrams"),
            "duplicates.bands": Evidence("documented", _NEMO + ": num_bands"),
            "duplicates.rows": Evidence("documented", _NEMO + ": minhashes_per_band"),
            "duplicates.permutations": Evidence(
                "documented",
                _NEMO + ": num_bands x minhashes_per_band",
                "they take other hash functions: the same curve, not the same candidates",
            ),
            "duplicates.verify": Evidence(
                "documented", _NEMO + ": false positive checks are not part of the workflow"
            ),
        },
        left_out=["the survivor is any one of its group; ours goes by `keep`"],
    ),
}
