"""The funnel: who became known when and from where, how far they have come, and the figures made of that.

`milestones.py` decides what one contact has reached, `counting.py` keeps the rows and their sums, `figures.py` reads
them for a page, `times.py` knows the histogram of times, `periods.py` the periods that one can choose.
"""

from .counting import count_everybody, count_funnel, mark_for_counting

__all__ = ["count_everybody", "count_funnel", "mark_for_counting"]
