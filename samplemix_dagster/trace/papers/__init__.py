"""Papers of a mixture version: what laws and readers ask, from its ledger and manifest alone."""
