"""What every stage stands on: the documents, the corpus that they are, the references."""
