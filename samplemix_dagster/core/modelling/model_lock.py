"""The lock of whoever creates or loads a model: one at a time in a process."""

import threading

MODEL_LOCK = threading.RLock()
"""Held while a model is created or loaded.

Transformers replaces functions of torch and of its own classes while it loads (initialisation, the
tying of weights, the default dtype) and puts back what it found. Two threads at once put back each
other's replacements, and every model loaded later in that process lacks its tied weights. A new
model draws from torch's generator of the whole process.
"""
