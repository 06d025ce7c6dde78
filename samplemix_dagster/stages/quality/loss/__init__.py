"""Stages on the losses of texts under references."""
