"""Standalone HTML pages: no external file, no script; what is shown comes from ``engine``."""
