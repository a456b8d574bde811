"""Questions about the framework that take minutes to answer, each a command of its own."""
