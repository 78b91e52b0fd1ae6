"""The parts of the storage in memory; its public face is eudai_core.testing.memory_storage."""
