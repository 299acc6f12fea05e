"""Videos that are drawn without a simulator."""
