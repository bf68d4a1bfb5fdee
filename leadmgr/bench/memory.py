"""What a benchmark's own process used."""

import resource


def peak_mb() -> float:
    """The largest resident size that this process ever had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
