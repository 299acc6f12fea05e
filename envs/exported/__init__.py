"""Data sets in the forms of others: what is recorded or brought here can be used elsewhere."""
