"""Who hands out leases: one module per outside library, unaware of each other."""
