"""What config.yaml declares: its model and checks, and what is made of it for chart, images and queues."""
