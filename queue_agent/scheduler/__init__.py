"""Decides which message is taken when: jobs in slots, the batches they run in, and how long they take."""
