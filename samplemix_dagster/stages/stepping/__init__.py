"""Steps: what a project is made by, in which order, and what a step is told."""
