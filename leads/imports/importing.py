"""The two passes over a file: the first reads all of it and writes nothing, the second loads it."""

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from leads import sets
from leads.imports import loading
from leads.imports.columns import WHY, Column, read_columns
from leads.imports.loading import Counts
from leads.imports.reading import CsvFile, FileError, Record, RowError
from leads.imports.rows import Row, RowReader
from leads.imports.types import Guess
from leads.models import Attribute, Source

SURVEY_ROWS = 2_000
"""rows whose values are turned into columns at a time"""

Progress = Callable[[int, int], None]
"""called with (rows done, rows in all)"""


@dataclass(frozen=True)
class Options:
    """How a file is to be read and where its people come from."""

    source: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    """column → field"""
    key: str = ""
    """the column with the ids of the source"""
    blanks: frozenset[str] = frozenset()
    """values that mean "not answered" """
    encoding: str = "utf-8"
    rejects: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Survey:
    """What the first pass found: how many rows there are, and the type of each attribute's values."""

    rows: int
    types: dict[str, str]
    new: dict[str, str]
    columns: list[Column]


def run_import(path: Path, options: Options, progress: Progress | None = None) -> Counts:
    """Load the file. Raises `FileError` before anything is written when the file is wrong as a whole.

    A dry run does the same in one transaction that it undoes, so it counts exactly what the import would. It
    holds the contacts of the file until it ends.
    """
    name = options.source.strip()
    slug = slugify(name, allow_unicode=True)[:100]
    if not slug or len(name) > 100:
        raise FileError(_("The source's name must have 1 to 100 characters, letters or digits among them."))
    file = CsvFile(path, options.encoding)
    rejects = options.rejects or Path(f"{path.stem}.rejected.csv")
    if rejects.resolve() == path.resolve():
        raise FileError(
            _("The rejected rows would overwrite the file itself; name another file with --rejects.")
        )
    if rejects.is_dir() or not os.access(rejects.resolve().parent, os.W_OK):
        raise FileError(
            _("Rejected rows cannot be written to “%(path)s”; name another file with --rejects.")
            % {"path": rejects}
        )
    survey = _survey(file, read_columns(file.header, options.mapping, options.key), options)
    with transaction.atomic() if options.dry_run else _no_transaction():
        source, _created = Source.objects.get_or_create(
            slug=slug, defaults={"name": name, "kind": Source.Kind.IMPORT.value}
        )
        declared = [(key, "", type_) for key, type_ in sorted(survey.new.items())]
        sets.insert_rows(Attribute, ["key", "label", "type"], declared, ignore_conflicts=True)
        reader = RowReader(survey.columns, len(file.header), survey.types, source.slug, options.blanks)
        counts = _load(file, reader, source, rejects, survey.rows, progress)
        if options.dry_run:
            transaction.set_rollback(True)
    return counts


def _survey(file: CsvFile, columns: list[Column], options: Options) -> Survey:
    """Read the whole file once: it has no broken quotes, and what are the values of its columns?"""
    width = len(file.header)
    declared = dict(Attribute.objects.values_list("key", "type"))
    unnamed = {column.index for column in columns if not file.header[column.index]}
    guesses = {column.index: Guess() for column in columns if column.attribute}
    rows = 0
    batch: list[list[str]] = []

    def look() -> None:
        for index, values in enumerate(zip(*batch, strict=True)):
            guess = guesses.get(index)
            if guess is not None and guess.candidates:
                guess.add({text for value in set(values) if (text := value.strip())} - options.blanks)
        batch.clear()

    for record in file.records():
        rows += 1
        if len(record.cells) == width and not record.error:
            batch.append(record.cells)
        if len(batch) == SURVEY_ROWS:
            look()
    look()
    kept = [
        column
        for column in columns
        if column.index not in unnamed or not column.attribute or guesses[column.index].seen
    ]
    inferred = {column.attribute: guesses[column.index] for column in kept if column.attribute}
    new = {key: guess.type for key, guess in inferred.items() if key not in declared and guess.seen}
    types = {key: declared.get(key, guess.type) for key, guess in inferred.items()}
    return Survey(rows, types, new, kept)


@dataclass
class Batch:
    """Rows that were read together: the good, and the bad with their reasons."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[tuple[Record, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.rejected)


def _load(
    file: CsvFile, reader: RowReader, source: Source, rejects: Path, total: int, progress: Progress | None
) -> Counts:
    """Load the rows in batches; while the database works at one, a thread reads the next."""
    counts = Counts()
    done = 0
    batches = _batches(file, reader)
    language = get_language()

    def read_ahead() -> Batch | None:
        with override(language):
            return next(batches, None)

    with Rejects(rejects, file.header) as rejected, ThreadPoolExecutor(1, "reads-ahead") as reading:
        coming = reading.submit(read_ahead)
        while (batch := coming.result()) is not None:
            coming = reading.submit(read_ahead)
            if batch.rows:
                loading.load(batch.rows, source, counts)
            counts.rejected += len(batch.rejected)
            for record, why in batch.rejected:
                rejected.write(record, why)
            done += len(batch)
            if progress:
                progress(done, total)
    return counts


def _batches(file: CsvFile, reader: RowReader) -> Iterator[Batch]:
    batch = Batch()
    for record in file.records():
        try:
            if record.error:
                raise RowError(record.error)
            batch.rows.append(reader.read(record.cells))
        except RowError as error:
            batch.rejected.append((record, str(error)))
        if len(batch) >= loading.CHUNK:
            yield batch
            batch = Batch()
    if batch:
        yield batch


class Rejects:
    """The file of rejected rows, each with its reason in the last column; there only if some were.

    It takes its name when the import ends: until then an earlier one stays.
    """

    def __init__(self, path: Path, header: list[str]) -> None:
        self.path = path
        self.draft = path.with_name(f"{path.name}.part")
        has_why = bool(header) and header[-1] == WHY
        self.header = header[:-1] if has_why else header
        self.file: IO[str] | None = None
        self.writer: Any = None

    def __enter__(self) -> "Rejects":
        return self

    def write(self, record: Record, why: str) -> None:
        if self.file is None:
            self.file = self.draft.open("w", encoding="utf-8", newline="")
            self.writer = csv.writer(self.file)
            self.writer.writerow([*self.header, WHY])
        width = len(self.header)
        cells = record.cells[:width] if len(record.cells) == width + 1 else record.cells
        self.writer.writerow([*cells, *[""] * (width - len(cells)), why])

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self.file is not None:
            self.file.close()
            os.replace(self.draft, self.path)
        elif error is None:
            self.path.unlink(missing_ok=True)


@contextmanager
def _no_transaction() -> Iterator[None]:
    """Each chunk has its own."""
    yield
