"""Whether a replica keeps what the engine relies on: ``check_replica`` and what it is told."""
