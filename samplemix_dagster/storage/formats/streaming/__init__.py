"""Bytes as they come: unpacked, counted, cut into lines."""
