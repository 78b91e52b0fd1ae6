"""Backups: everything in one file, and everything from one database into another."""
