"""The queue agent: pulls tasks, drives the model server beside it, stores pictures, sends notices."""
