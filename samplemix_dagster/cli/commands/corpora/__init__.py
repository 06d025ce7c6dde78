"""Commands that make a corpus: of what is on the machine, or one whose junk is known."""
