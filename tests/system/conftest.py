"""The servers that these tests need."""

from servers import redis_server, redis_url

__all__ = ["redis_server", "redis_url"]
