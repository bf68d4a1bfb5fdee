"""The broker of an installation that has none: kombu's folder of files, where a file appears whole or not at all.

kombu gives a file its last name before it is written. A worker that looks in between reads an empty message and dies
of it (celery/kombu issue 1551), a sender that looks in between cannot read who listens. Here every file is written
under another name first.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):  # type: ignore[misc]
    """Holds to kombu's names and contents of files, so both can share a folder."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        # The oldest message of a queue is the first by name.
        name = f"{monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        with self._written(Path(self.data_folder_out), dumps(payload)) as part:
            part.rename(part.with_name(name))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        table = self._exchange_file(exchange)
        if not table.exists():
            bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
            another_was_quicker = contextlib.suppress(FileExistsError)
            with self._written(self.control_folder, dumps([bound])) as part, another_was_quicker:
                os.link(part, table)
        super()._queue_bind(exchange, routing_key, pattern, queue)

    @contextlib.contextmanager
    def _written(self, folder: Path, content: str) -> Iterator[Path]:
        """A file of `folder` that no reader looks for, gone at the end unless it was renamed."""
        part = folder / f"{uuid.uuid4()}.part"
        try:
            part.write_text(content)
            yield part
        except OSError as error:
            raise ChannelError(f"Cannot write to {folder}: {error}") from error
        finally:
            part.unlink(missing_ok=True)


class Transport(filesystem.Transport):  # type: ignore[misc]
    Channel = Channel
