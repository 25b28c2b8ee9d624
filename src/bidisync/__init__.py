"""Two-way sync of records between two systems that both are edited."""
