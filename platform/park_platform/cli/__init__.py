"""The commands of the centre; one module each, found by entry point."""
