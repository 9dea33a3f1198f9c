"""What the parts of the platform agree on: tasks, notices, config.yaml and the table of runtime types."""
