"""quality: text -> losses under a reference model -> a score in (0, 1)."""
