"""What the REST API's parts share: authentication, errors, paging, idempotency, schema."""
