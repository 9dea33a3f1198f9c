"""The console: a web page for people who run and use the platform."""
