"""Finds those of a set for whom a piece of work fails, by trying halves; and whether it fails for everybody."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from django.db import OperationalError, transaction

logger = logging.getLogger(__name__)

One = TypeVar("One")
Result = TypeVar("Result")

EVERYBODY = 10
"""so many, from all parts of the set, for whom it fails, and nobody for whom it was done: the work itself is broken"""


@dataclass
class Outcome(Generic[One, Result]):
    done: list[Result] = field(default_factory=list)
    """what the work answered for each part of the set that it was done for"""
    failed: list[tuple[One, Exception]] = field(default_factory=list)
    left: list[One] = field(default_factory=list)
    """not tried to the end, because it failed for as many as may be found at once"""

    @property
    def hopeless(self) -> bool:
        """Whether it fails for everybody. Then it was done for nobody, and those who `failed` are examples."""
        return not self.done and len(self.failed) >= EVERYBODY


def do_for_each_it_works_for(
    work: Callable[[Sequence[One]], Result], those: Sequence[One], most: int
) -> Outcome[One, Result]:
    """Do `work` for `those` at once, in a savepoint; where it fails for halves, down to single ones.

    Gives up once it failed for `most`. A deadlock or a lost connection is nobody's fault and is raised.
    """
    outcome: Outcome[One, Result] = Outcome()
    _do(work, _spread(those), most, outcome)
    return outcome


def _spread(those: Sequence[One]) -> list[One]:
    """In another order, which begins with `EVERYBODY` from all parts: who stand beside each other are often alike."""
    stride = max(1, len(those) // EVERYBODY)
    return [one for start in range(stride) for one in those[start::stride]]


def _do(
    work: Callable[[Sequence[One]], Result],
    those: Sequence[One],
    most: int,
    outcome: Outcome[One, Result],
) -> None:
    if len(outcome.failed) >= most or outcome.hopeless:
        outcome.left += those
        return
    try:
        with transaction.atomic():
            outcome.done.append(work(those))
            return
    except OperationalError:
        raise
    except Exception as error:
        if len(those) == 1:
            outcome.failed.append((those[0], error))
            return
        logger.debug("Fails for some of %d", len(those), exc_info=error)
    middle = len(those) // 2
    _do(work, those[:middle], most, outcome)
    _do(work, those[middle:], most, outcome)
