"""Uploads and deliveries: one file of members, received, inspected, planned, delivered to every destination."""
