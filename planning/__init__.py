"""What a load costs and how long its jobs wait, before anything is deployed."""
