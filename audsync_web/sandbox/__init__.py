"""The five vendors as a local HTTP server, for the demo, for trials and for tests. Imports nothing of the product."""
