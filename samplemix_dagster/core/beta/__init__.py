"""beta: scores -> a bivariate law with beta marginals, and how well it describes them."""
