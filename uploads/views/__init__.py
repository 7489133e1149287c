"""Pages of uploads, their history, the overview, sources, and erasing a person; what they read and show."""
