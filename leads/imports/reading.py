"""Reads a CSV file record by record, and says in which line it stops being one."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.utils.translation import gettext as _

DELIMITERS = (",", ";", "\t")
COLUMNS_MOST = 500
NAME_LONGEST = 200
LINE_LONGEST = 10_000_000
"""characters; what has no line end for longer is no text file, and must not fill the memory"""


class FileError(ValueError):
    """The file, or how it is to be read, is wrong as a whole; the message says where and what helps."""


class RowError(ValueError):
    """One row cannot be loaded; the message says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file. Where its quotes are wrong, `error` says so and `cells` is the line."""

    line: int
    cells: list[str]
    error: str = ""


class CsvFile:
    """A file of rows below a header; can be read any number of times."""

    def __init__(self, path: Path, encoding: str = "utf-8") -> None:
        self.path = path
        self.encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        if path.is_dir():
            raise FileError(_("“%(path)s” is a folder; name a CSV file.") % {"path": path})
        if not path.exists():
            raise FileError(_("There is no file “%(path)s”.") % {"path": path})
        if not path.is_file():
            raise FileError(
                _("“%(path)s” cannot be read twice, as an import does; save it as a file first.")
                % {"path": path}
            )
        with self._open() as file:
            self.delimiter = _delimiter(self._first_line(file))
        self.header = self._read_header()

    def records(self) -> Iterator[Record]:
        """The rows below the header, without empty lines. Raises `FileError` where the file breaks."""
        with self._open() as file:
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            above_header = True
            while True:
                begins = lines.number + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except UnicodeDecodeError as error:
                    raise self._not_decodable(error) from None
                except csv.Error as error:
                    if lines.ended or lines.number > begins:
                        raise _unclosed(begins) from None
                    if "field limit" in str(error):
                        raise FileError(
                            _("A cell in line %(line)d is longer than %(most)d characters; shorten it.")
                            % {"line": begins, "most": csv.field_size_limit()}
                        ) from None
                    yield Record(begins, [lines.last.rstrip("\r\n")], _("has wrong quotes"))
                    continue
                if not cells:
                    continue
                if above_header:
                    above_header = False
                else:
                    yield Record(begins, cells)

    def _read_header(self) -> list[str]:
        with self._open() as file:
            lines = _Lines(file)
            try:
                names = next(
                    (cells for cells in csv.reader(lines, delimiter=self.delimiter, strict=True) if cells), []
                )
            except UnicodeDecodeError as error:
                raise self._not_decodable(error) from None
            except csv.Error:
                raise _unclosed(1) from None
        return check_header([name.strip() for name in names])

    def _open(self) -> IO[str]:
        try:
            return self.path.open(encoding=self.encoding, newline="")
        except LookupError:
            raise FileError(
                _("There is no encoding “%(name)s”; use a name such as utf-8, cp949 or latin-1.")
                % {"name": self.encoding}
            ) from None
        except OSError as error:
            raise FileError(
                _("“%(path)s” cannot be read: %(error)s.") % {"path": self.path, "error": error.strerror}
            ) from None

    def _first_line(self, file: IO[str]) -> str:
        try:
            for line in _Lines(file):
                if line.strip():
                    return line
        except UnicodeDecodeError as error:
            raise self._not_decodable(error) from None
        raise FileError(_("“%(path)s” is empty.") % {"path": self.path})

    def _not_decodable(self, error: UnicodeDecodeError) -> FileError:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError:
                    return FileError(
                        _("Line %(line)d is not %(encoding)s. Name its encoding, such as --encoding cp949.")
                        % {"line": number, "encoding": error.encoding.upper()}
                    )
        return FileError(
            _("The file is not %(encoding)s. Name its encoding, such as --encoding cp949.")
            % {"encoding": error.encoding.upper()}
        )


class _Lines:
    """The lines of a file, which one was the last, and whether the file has ended."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.number = 0
        self.last = ""
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.file.readline(LINE_LONGEST)
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        if len(line) == LINE_LONGEST:
            raise FileError(_("Line %(line)d does not end; this is no CSV file.") % {"line": self.number})
        self.last = line
        return line


def check_header(names: list[str]) -> list[str]:
    """The header, without a last name that is blank. Raises `FileError` when the line names no columns."""
    if len(names) > COLUMNS_MOST:
        raise FileError(
            _("The file has %(count)d columns; an import takes at most %(most)d.")
            % {"count": len(names), "most": COLUMNS_MOST}
        )
    told = [name for name in names if name]
    if not told or any("@" in name for name in told) or all(_is_number(name) for name in told):
        raise FileError(_("The first line must name the columns; it looks like a row of values."))
    for name in told:
        if told.count(name) > 1:
            raise FileError(
                _("Two columns are named “%(name)s”; give each a name of its own in the first line.")
                % {"name": name[:80]}
            )
        if len(name) > NAME_LONGEST or "\0" in name:
            raise FileError(
                _("The column name “%(name)s…” is longer than %(most)d characters or holds NUL characters.")
                % {"name": name[:40].replace("\0", "�"), "most": NAME_LONGEST}
            )
    return names


def _delimiter(line: str) -> str:
    """The sign that parts the columns of the header, counted outside its quotes."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unclosed(line: int) -> FileError:
    return FileError(
        _("A quote opens in the row that begins in line %(line)d and is never rightly closed; mend that row.")
        % {"line": line}
    )
