"""Takes care of lost jobs: ends overdue ones, and those whose messages SQS has delivered too often."""
