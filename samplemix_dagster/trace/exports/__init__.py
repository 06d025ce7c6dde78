"""Exports, looked back at."""
