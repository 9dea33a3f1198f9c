"""Keeps what the local AWS holds in a folder: jobs, messages and objects survive any process, and power cuts.

moto answers the calls; its containers read and write here. An answer goes out once all that it may tell is on disk.
"""
