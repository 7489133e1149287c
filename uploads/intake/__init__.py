"""The ways a file of members comes in: a request's body, the page's form, in pieces, pulled from a vendor."""
