"""The model server of type flux."""
