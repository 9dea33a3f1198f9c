"""The API calls, each written as steps; both clients turn them into methods."""
