"""The console of those who configure and look after the product, by subject."""

from . import access, capture, exports, histories, people, rejections, segments

__all__ = ["access", "capture", "exports", "histories", "people", "rejections", "segments"]
