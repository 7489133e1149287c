"""One person, found in every membership and erased from it, from the vendors and from the files."""
