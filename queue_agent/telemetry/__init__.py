"""What an operator sees of the agent: traces and metrics through OpenTelemetry, and a page for Prometheus."""
