"""Where links are kept: one module per outside library, unaware of each other."""
