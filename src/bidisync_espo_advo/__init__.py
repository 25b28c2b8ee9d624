"""Parties kept in step between EspoCRM and Advoware."""
