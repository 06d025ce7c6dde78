"""Records of CSV and JSON."""
