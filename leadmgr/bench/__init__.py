"""Benchmarks: each measures the product and, in the same run, a floor that bare PostgreSQL sets.

Each builds its base once per size in a database of its own, so it never touches an installation's data. Floors are
written by hand in SQL, as somebody would who needs nothing but that one result.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Size:
    contacts: int
    interactions: int


@dataclass
class Result:
    """What a benchmark found. `ratio` is value to floor, or floor to value, whichever the promise speaks of."""

    name: str
    contacts: int
    interactions: int
    value: float
    unit: str
    floor: float
    floor_unit: str
    ratio: float
    rss_mb: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Say = Callable[[str], None]
