"""Plans: built, written, read, sealed and saved."""
