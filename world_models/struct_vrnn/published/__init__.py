"""What is as in the paper where the shipped models differ."""
