"""Tasks: questions with their answers, judged by the likelihood of what stands after a context."""
