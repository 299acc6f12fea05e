"""Our search beside those that others would use: same model, cost, budget, thread."""
