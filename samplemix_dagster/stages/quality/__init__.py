"""Quality: losses under a reference, and other signals beside them, as a score in (0, 1)."""
