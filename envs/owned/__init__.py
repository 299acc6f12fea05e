"""Data that users bring: recordings, videos and records in the forms that others publish."""
