"""What documents are scored by: models, signals, components, tables of other tools."""
