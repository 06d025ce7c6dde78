"""Text of evaluations that stands in documents: what is looked for, and where it is found."""
