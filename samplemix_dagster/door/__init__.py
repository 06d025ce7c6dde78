"""The door in front of Dagster's webserver, and the processes behind it."""
