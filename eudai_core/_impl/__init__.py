"""Private helpers of the core; nothing outside eudai_core may import from here."""
