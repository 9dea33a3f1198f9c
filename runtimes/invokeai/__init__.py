"""Runtime type invokeai: InvokeAI, which runs graphs."""
