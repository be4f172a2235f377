"""wordllama embeds a text as the mean of the vectors of its tokens. The vectors were distilled from
the token embeddings of language models, for English.

Source: D. Lee Miller, https://github.com/dleemiller/WordLlama (MIT). The package `wordllama` has
the files; its code is not imported.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from clustering.embed.embedder import Vectors
from manifests.models.packages import PackagedFile
from manifests.models.safetensors import read_tensor
from manifests.models.text_tokens import TextTokens
from manifests.record import texts
from manifests.step import Context, ModelIdentity, RowErrors

_RELEASE = ("wordllama", "0.4.0.post1")
WEIGHTS = PackagedFile(
    *_RELEASE,
    "wordllama/weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
TOKENIZER = PackagedFile(
    *_RELEASE,
    "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)
IDENTITY = ModelIdentity("wordllama", f"{WEIGHTS.sha256} {TOKENIZER.sha256}")
WIDTH = 256


class WordLlama:
    """Embeds the texts of records as the means of their tokens' vectors."""

    width = WIDTH

    def __init__(self, max_tokens: int, prefix: str) -> None:
        self._vectors = read_tensor(WEIGHTS.read(), "embedding.weight", WEIGHTS.path)
        self._tokens = TextTokens(TOKENIZER.read(), TOKENIZER.path, max_tokens, special=False)
        self._prefix = prefix

    def embed(self, batch: pa.Table, context: Context) -> Vectors:
        found = texts(batch["content"]).to_pylist()
        rows = [row for row, text in enumerate(found) if text.strip()]
        encoded = self._tokens.encode([self._prefix + found[row] for row in rows])
        counts = np.zeros(batch.num_rows, np.int64)
        counts[rows] = [len(one.ids) for one in encoded]
        ids = np.concatenate([np.empty(0, np.int64), *(one.ids for one in encoded)])
        present = counts > 0
        vectors = np.zeros((batch.num_rows, self.width), np.float32)
        if present.any():
            starts = (np.cumsum(counts) - counts)[present]
            sums = np.add.reduceat(self._vectors[ids.astype(np.int64)].astype(np.float32), starts)
            vectors[present] = sums / counts[present, None].astype(np.float32)
        return Vectors(vectors, present, RowErrors(batch.num_rows))

    def close(self) -> None:
        del self._vectors, self._tokens
