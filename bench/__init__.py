"""Measurements, each printed beside its limit. A bench measures; it is no test."""
