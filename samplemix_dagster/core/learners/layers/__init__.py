"""Layers of the transformer learner that are written out, or chosen by device."""
