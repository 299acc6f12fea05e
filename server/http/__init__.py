"""What all endpoints share: exchange, bodies, problems, keys, headers, description."""
