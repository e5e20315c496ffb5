"""The commands: `main` chooses, one file a command does it."""
