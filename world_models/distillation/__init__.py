"""Robust encoders: a finished model learns to see in a changed world what it sees in the usual one."""
