"""The source code that something depends on: modules as files, import closures."""
