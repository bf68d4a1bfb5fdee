"""The broker of files: a message is there whole or not at all, whoever looks."""

import subprocess
import sys
from pathlib import Path
from queue import Empty

import pytest
from django.conf import settings
from kombu import Connection
from kombu.utils.json import loads

WRITERS = 3
MESSAGES = 1000
WRITE = f"""
import sys
from tests.test_broker import connect
with connect(sys.argv[1]) as connection:
    queue = connection.SimpleQueue("bells")
    for number in range({MESSAGES}):
        queue.put(number)
"""


def connect(folder: str | Path) -> Connection:
    options = {"data_folder_in": f"{folder}/queue", "data_folder_out": f"{folder}/queue"}
    return Connection(
        "filesystem://localhost/",
        transport="leadmgr.broker:Transport",
        transport_options={**options, "control_folder": f"{folder}/control"},
    )


def unreadable(file: Path) -> bool:
    try:
        loads(file.read_text())
    except FileNotFoundError:
        return False  # written under its first name when we listed it
    except ValueError:
        return True
    return False


def test_no_file_is_seen_half_written(tmp_path: Path):
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    writers = [subprocess.Popen(command, cwd=settings.BASE_DIR) for _ in range(WRITERS)]
    seen: set[Path] = set()
    half_written: set[Path] = set()
    while any(writer.poll() is None for writer in writers):
        new = {*tmp_path.glob("queue/*.msg"), *tmp_path.glob("control/*")} - seen
        half_written |= {file for file in new if unreadable(file)}
        seen |= new
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert not half_written

    with connect(tmp_path) as connection, connection.channel() as channel:
        received = [channel._get("bells") for _ in range(WRITERS * MESSAGES)]
        with pytest.raises(Empty):
            channel._get("bells")
    assert len({message["properties"]["delivery_tag"] for message in received}) == len(received)
    assert not list(tmp_path.glob("*/*.part"))
