"""A Redis of its own for each test that kills it."""

from servers import redis_server

__all__ = ["redis_server"]
