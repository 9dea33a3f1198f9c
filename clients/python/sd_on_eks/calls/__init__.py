"""The calls of the API, each as the steps of which both clients make a method."""
