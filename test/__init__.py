"""The tests. A package, because Python has one of this name too."""
