"""What every storage must keep, by concern; the public face is eudai_core.testing.storage_suite."""
