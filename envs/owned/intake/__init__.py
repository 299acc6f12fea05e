"""From episodes of any source to shards: one set of options, one way in."""
