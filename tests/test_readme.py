"""What the documents point at exists: a newcomer follows each name in them."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
NAMED = re.compile(
    r"`((?:leads|scoring|nurture|leadmgr|tests|templates)/[\w./*-]+)`|\((tests/screenshots/[\w.-]+)\)"
)


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_every_file_that_a_document_names_is_there(document):
    names = {one or other for one, other in NAMED.findall((ROOT / document).read_text())}
    assert names
    missing = {
        name
        for name in names
        # `leads/sets.update_rows` is a function in a file
        if not ((ROOT / name).exists() or (ROOT / f"{name.rpartition('.')[0]}.py").exists())
    }
    assert missing == set()


def test_the_readme_shows_every_picture_that_is_taken():
    shown = set(re.findall(r"\(tests/screenshots/([\w.-]+)\)", (ROOT / "README.md").read_text()))
    assert shown == {picture.name for picture in (ROOT / "tests" / "screenshots").iterdir()}
