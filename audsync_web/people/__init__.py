"""People, companies, roles, tokens and the audit trail."""
