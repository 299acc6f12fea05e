"""Struct-VRNN on data that users bring: sizes from the data, a goal without a colour, a page to judge by."""
