"""The embedded PostgreSQL: a real server from a wheel, run from the data folder.

`server.py` starts and stops it, `base.py` is the Django database backend that starts it on the first
connection. Nothing else of the product knows whether the database is embedded.
"""
