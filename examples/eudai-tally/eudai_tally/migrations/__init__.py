"""The history of the table; the revisions are in ``versions``."""
