"""The whole job on real documents: a server, a user, a project, three questions, and what they were answered from."""
