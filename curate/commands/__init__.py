"""The commands of the command line. Each module has one, as `main(options) -> exit code`."""
