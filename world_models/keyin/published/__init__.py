"""KeyIn by the paper's own means: attention over the sequence, an LSTM interpolator, no teacher."""
