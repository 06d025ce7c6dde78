"""Which of two draws taught more: paired draws, paired differences, tokens to match."""
