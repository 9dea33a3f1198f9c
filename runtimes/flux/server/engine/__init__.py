"""Jobs, and which worker draws them when."""
