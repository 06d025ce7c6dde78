"""A version as it is published: its manifest, its files, and becoming the current one."""
