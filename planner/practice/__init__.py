"""Practice: models record episodes of their own, and learn from them, round by round."""
