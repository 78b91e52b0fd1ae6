"""The commands of the surface."""
