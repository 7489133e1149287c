"""The API's calls on uploads, memberships, sources and persons (design section 7.3)."""
