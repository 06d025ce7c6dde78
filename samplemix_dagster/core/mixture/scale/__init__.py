"""The scale of a draw: where copies switch on, and where the budget is met."""
