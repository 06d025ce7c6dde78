"""Everything computed: tables, arrays, JSON, by key."""
