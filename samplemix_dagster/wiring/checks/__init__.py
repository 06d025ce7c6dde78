"""Asset checks: what must hold (blocking), and what a data engineer would want to be told."""
