"""What is held at each vendor: snapshots, the members of a file for a destination, whom no file brings back."""
