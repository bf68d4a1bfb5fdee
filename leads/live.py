"""Tells open pages that something changed; see `announce`."""

from collections.abc import Iterable

from leads import sets

CHANNEL = "leadmgr_live"
IDS_MOST = 500  # a notification has 8,000 bytes
ANYBODY = "*"
"""stands for more contacts than a notification can name"""


def announce(contacts: Iterable[int]) -> None:
    """Once the current transaction has committed, open inboxes look again; that of a contact named here too.

    Commits that announce wait for each other, so a transaction that changes many contacts announces once.
    """
    ids = sorted(set(contacts))
    if ids:
        sets.notify(CHANNEL, ",".join(map(str, ids)) if len(ids) <= IDS_MOST else ANYBODY)
