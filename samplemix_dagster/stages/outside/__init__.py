"""What other tools gave, joined to documents."""
