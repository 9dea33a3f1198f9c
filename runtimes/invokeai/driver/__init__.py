"""The driver of runtime type invokeai."""
