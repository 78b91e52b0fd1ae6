"""What goes over the wire: bodies and queries that come in, answers that go out, and the two codecs between."""
