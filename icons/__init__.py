"""The icon library: finds icons by what they are to show, and takes in those that were drawn."""
