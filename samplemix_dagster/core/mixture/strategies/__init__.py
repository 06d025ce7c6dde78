"""Strategies: what weight a document has in a mixture. Scale, cap and budget come afterwards.

A strategy is one file: its options, its formula, its words. ``table.py`` names it in one line.
"""
