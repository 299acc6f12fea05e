"""How much features say about actions: a classifier for every arm of Struct-VRNN (section 5.5)."""
