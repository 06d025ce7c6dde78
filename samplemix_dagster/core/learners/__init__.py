"""Small models that are trained on a draw and judge texts: which draw teaches more."""
