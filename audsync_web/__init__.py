"""AudSync: one file makes every vendor's membership equal to it."""
