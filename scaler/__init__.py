"""How many pods a runtime should have, and the service that tells KEDA."""
