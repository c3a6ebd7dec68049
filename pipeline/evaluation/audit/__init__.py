"""`make audit`: labels that look wrong, and near duplicates."""
