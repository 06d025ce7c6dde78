"""From the text of a file to values, with the line of what is wrong."""
