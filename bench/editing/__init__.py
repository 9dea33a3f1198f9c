"""Editing, measured: a folder of cases against any runtime, through the API."""
