"""Links in tasks: where they may point, and how what they point to is fetched."""
