"""Drivers: one folder per type of model server, found through contract.runtimes."""
