"""The console of those who configure and look after the product, by subject."""

from . import access, capture, histories, people, rejections, segments

__all__ = ["access", "capture", "histories", "people", "rejections", "segments"]
