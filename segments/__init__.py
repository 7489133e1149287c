"""Segments and their destinations: create, publish, rename, archive, release."""
