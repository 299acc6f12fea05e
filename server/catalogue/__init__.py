"""The list of models: what each is, expects and may be asked for."""
