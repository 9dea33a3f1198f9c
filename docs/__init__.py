"""The documentation, and the programs that write some of its pages."""
