"""KeyIn on data that users bring: sizes from the data, a goal without a colour, a card to judge it by."""
