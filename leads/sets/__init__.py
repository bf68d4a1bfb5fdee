"""Set statements that Django's ORM lacks, over querysets that it compiles. Nothing else writes SQL text."""

from .expressions import GIVEN_LATER, AnyOf, DaysBetween, ElementAt, GivenLater
from .prepared import Prepared
from .sql import Row, array_literal
from .waiting import (
    DEADLOCK_TRIES,
    listen,
    local_settings,
    notify,
    retry_deadlocks,
    run_once_at_a_time,
    session_settings,
)
from .writing import (
    allocate_ids,
    copy_rows,
    delete_returning,
    insert_rows,
    insert_select,
    refresh_statistics,
    update_from,
    update_rows,
    upsert_rows,
)

__all__ = [
    "DEADLOCK_TRIES", "GIVEN_LATER", "AnyOf", "DaysBetween", "ElementAt", "GivenLater", "Prepared", "Row",
    "allocate_ids", "array_literal", "copy_rows", "delete_returning", "insert_rows", "insert_select", "listen",
    "local_settings", "notify", "refresh_statistics", "retry_deadlocks", "run_once_at_a_time",
    "session_settings", "update_from", "update_rows", "upsert_rows",
]  # fmt: skip
