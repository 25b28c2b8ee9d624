"""The servers that these tests need."""

from servers import postgres_server, postgres_server_url, postgres_url, redis_server, redis_url

__all__ = ["postgres_server", "postgres_server_url", "postgres_url", "redis_server", "redis_url"]
