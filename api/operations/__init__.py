"""What callers can ask of the platform. There is no HTTP in here."""
