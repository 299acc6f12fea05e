"""The eyes of a control model: a frozen Struct-VRNN, how it is kept and trained, and what is read of it."""
