"""The answers of InvokeAI 6.14.2."""
