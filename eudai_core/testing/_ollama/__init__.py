"""The parts of the scripted Ollama; its public face is eudai_core.testing.scripted_ollama."""
