"""Reads tables of urls and captions, and joins them to images that were already downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from curate.ingest.captions.records.rows import CaptionColumns, batch_of_columns
from curate.ingest.columns import (
    as_text,
    first_text,
    fully_used,
    require_columns,
    text_columns,
)
from curate.ingest.evidence import Findings
from curate.ingest.file_template import URL_FIELDS, USUAL_FILES, Files, Template
from curate.ingest.formats.columnar import (
    SUFFIXES,
    Batch,
    batches,
    count_rows,
    sniffed_schema,
    splits,
)
from curate.ingest.image_columns import bytes_column, image_column
from curate.ingest.last_parts import LastParts, check_last_parts
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import InputError
from manifests.setting_values import Names
from manifests.storage import File

URLS = ("url", "image_url", "img_url")
TEXTS = ("caption", "text", "txt", "alt_text", "alt")


class UrlTable(Reader):
    """LAION, DataComp, COYO and the like: parquet of urls and captions, and a folder of images.

        uid     url                      text
        f3b2    http://a.b/c/cat.jpg     A cat.

    Nothing is downloaded: a row's image is the file below `media_root` that `file` names. If `file`
    is not set, these names are tried in order: `{url_path}` (the column of urls itself, if it has
    paths), `{uid}`, `{key}`, `{key[0:5]}/{key}` (img2dataset's folders), `{url_sha256}`,
    `{url_md5}`, and `{url_name}`, the last part of the url. If several urls of a file have the same
    last part, nothing shows from which of these urls an image with this name was downloaded, so a
    row whose image is found by this name is quarantined. A suffix such as .jpg may be left out. A
    row whose image is not found is quarantined with the names that were tried. Width and height
    come from the image file. All other columns, including `uid`, go to `meta`. A record's key is
    the file's name and the number of the row, from 0.
    """

    version: ClassVar[int] = 4
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str = Field(description="folder of the images")
    file: Files | None = Field(
        None,
        description="file name of a row's image below media_root, made from its columns: "
        "`{uid}`, `{key[0:5]}/{key}.jpg`; or several names that are tried in order",
    )
    url: str | None = Field(
        None,
        description="column of the urls; null: the column url, image_url or img_url, in upper "
        "or lower case",
    )
    text: Names | None = Field(
        None,
        description="column of the caption, or several columns, of which the first text that "
        "is not blank is used; []: images without captions; null: the columns "
        "caption, text, txt, alt_text, alt, in upper or lower case",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Whether a file is a table that has a column of type text and no column that holds image
        bytes. The names of text columns are not checked, because settings may name the columns."""
        schema = sniffed_schema(head)
        if schema is None or bytes_column(schema) or image_column(schema):
            return False
        return any(pa.types.is_string(f.type) or pa.types.is_large_string(f.type) for f in schema)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        if (schema := sniffed_schema(head)) is not None:
            text_columns(self.text, TEXTS, schema.names, file.uri)
            self._templates(schema.names, self._url_column(schema.names, file), file)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits(file, context)

    def count(self, split: Split, context: Context) -> Count:
        return count_rows(split, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        folder = MediaFolder(self.media_root, context.base)
        last_parts = LastParts(
            context.base, split.files[0], f"{self.url}", lambda: self._urls(split, context)
        )
        for batch in batches(split, context, self._texts()):
            found = self._read_batch(split.files[0], batch, folder, context, last_parts)
            yield found._replace(evidence=last_parts.evidence())

    def check_evidence(self, evidence: Findings) -> None:
        check_last_parts(evidence, self.path)

    def _texts(self) -> tuple[str, ...]:
        files = [Template(name).columns for name in self.file or USUAL_FILES]
        used = (*(self.text or ()), *filter(None, [self.url]))
        return (*URLS, *TEXTS, *used, *(name for columns in files for name in columns))

    def _urls(self, split: Split, context: Context) -> Iterator[pa.Array]:
        """Yields the urls of all rows of the file, not only those of the split."""
        file = split.files[0]
        for batch in batches(Split((file,)), context, self._texts()):
            if (name := self._url_column(batch.rows.schema.names, file)) is not None:
                yield as_text(batch.rows, name, "url", file.uri)

    def _read_batch(
        self,
        file: File,
        batch: Batch,
        folder: MediaFolder,
        context: Context,
        last_parts: LastParts,
    ) -> ReadBatch:
        names = batch.rows.schema.names
        texts = text_columns(self.text, TEXTS, names, file.uri)
        url = self._url_column(names, file)
        captions = CaptionColumns(
            batch.numbers,
            first_text(batch.rows, texts, file.uri),
            meta_json(batch.rows, fully_used(batch.rows.schema, texts)),
        )
        templates = self._templates(names, url, file)
        used = {name for template in templates for name in template.columns} & set(names)
        columns = {name: as_text(batch.rows, name, "file", file.uri) for name in used}
        urls = None if url is None else as_text(batch.rows, url, "url", file.uri)
        images = open_row_images(templates, columns, urls, folder, context, last_parts)
        return batch_of_columns(self, file, captions, images, batch.broken)

    def _url_column(self, names: list[str], file: File) -> str | None:
        if self.url is not None:
            require_columns([self.url], names, "url", file.uri)
            return self.url
        return next((name for url in URLS for name in names if name.lower() == url), None)

    def _templates(self, names: list[str], url: str | None, file: File) -> list[Template]:
        """The templates of the image's file name, to be tried in order: those of the setting
        `file`, or else the usual templates whose columns are in the table. `names` are the columns
        of the table, and `url` is the column of urls, or None."""
        known = {*names, *(URL_FIELDS if url is not None else ())}
        if self.file is not None:
            templates = [Template(name) for name in self.file]
            for template in templates:
                require_columns(template.columns, known, "file", file.uri)
            return templates
        templates = [t for t in map(Template, USUAL_FILES) if t.columns <= known]
        if not templates:
            raise InputError(
                "the table has no column from which an image name can be made (url, uid or "
                f"key); its columns are: {', '.join(names)}.",
                file.uri,
                "Set `url` to the column of urls, or `file` to a template such as `{name}.jpg`.",
            )
        return templates
