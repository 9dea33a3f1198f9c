"""Measures editing: runs a folder of cases on any runtime, through the API."""
