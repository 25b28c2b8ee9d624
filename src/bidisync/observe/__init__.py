"""Observers: what happened, as log lines and as metrics. Neither shows an id or a value of a record."""
