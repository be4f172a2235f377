"""The commands of the command line, one module each. A module has `main(options) -> exit code`."""
