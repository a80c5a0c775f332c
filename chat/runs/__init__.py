"""Answers that are being made in this process."""
