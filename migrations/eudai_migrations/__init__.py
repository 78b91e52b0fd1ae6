"""Alembic environment and revisions of the core tables."""
