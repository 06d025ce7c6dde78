"""Where the files of a corpus lie."""
