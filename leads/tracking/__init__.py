"""The Segment HTTP tracking specification, so that existing SDKs send here unchanged.

`messages.py` turns a message into an event or refuses it, `endpoint.py` speaks HTTP.
"""
