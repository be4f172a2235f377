"""What each command does: one file a command, with `main(options) -> exit code`."""
