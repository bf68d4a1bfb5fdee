"""Times between steps as a histogram whose parts can be added: the median of any period without its people.

Buckets grow by a quarter: bucket 0 is under a minute, bucket n from 1.25^(n-1) to 1.25^n minutes. The median is taken
within its bucket by proportion, so it is right to about a tenth.
"""

from collections.abc import Mapping
from math import log

from django.db.models import FloatField, IntegerField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Extract, Floor, Greatest, Ln

GROWTH = 1.25
MINUTE = 60.0


def bucket_of(duration: Combinable) -> Combinable:
    """The bucket of an interval, in SQL."""
    # In double precision: the logarithm of a numeric takes a hundred times as long.
    minutes = Cast(Extract(duration, "epoch"), FloatField()) / Value(MINUTE)
    # 0.9 stands for everything under a minute: its logarithm to the base 1.25 is between -1 and 0.
    whole = Floor(Ln(Greatest(minutes, Value(0.9))) / Value(log(GROWTH)))
    return Cast(whole + Value(1.0), IntegerField())


def median_seconds(histogram: Mapping[int, int]) -> float | None:
    """The median of the times in the histogram (bucket → people), None of none."""
    total = sum(histogram.values())
    if not total:
        return None
    before = 0
    for bucket in sorted(histogram):
        people = histogram[bucket]
        if before + people >= total / 2:
            share = (total / 2 - before) / people
            return float(_lower(bucket) + share * (_lower(bucket + 1) - _lower(bucket)))
        before += people
    raise AssertionError("unreachable")


def _lower(bucket: int) -> float:
    """Where a bucket begins, in seconds."""
    return MINUTE * GROWTH ** (bucket - 1) if bucket > 0 else 0.0
