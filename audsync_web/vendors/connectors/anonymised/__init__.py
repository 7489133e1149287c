"""Anonymised UserSync: one CSV holds the whole member list of one segment; a later success replaces it."""

from .connector import AnonymisedConnector

__all__ = ["AnonymisedConnector"]
