"""What is judged: arms, the corpus that they choose from, and their draws."""
