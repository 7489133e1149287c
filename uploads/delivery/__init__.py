"""A delivery makes one destination's membership what the upload says: plan, send, follow, confirm, fold."""
