"""Closed-loop evaluation: episodes over processes, their outcomes, tables, films."""
