"""A mixture: its draw, its ledger, its version."""
