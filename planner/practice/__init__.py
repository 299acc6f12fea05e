"""Practice: a control model learns from episodes that it records itself, round by round."""
