"""The job engine: rows are the queue of record, the broker carries only wake-ups."""
