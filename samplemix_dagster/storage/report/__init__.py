"""The report: what dbt makes of the lake, built, tested and published."""
