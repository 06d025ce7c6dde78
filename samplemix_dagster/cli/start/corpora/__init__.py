"""Corpora that are made: of what is on the machine, or with labelled junk."""
