"""Before a byte leaves: a received file becomes a set of members, and each destination says what it thinks."""
