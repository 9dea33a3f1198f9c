"""Measurements, printed with their limits. A bench measures; it is not a test."""
