"""The sub-commands of core, one module each with `register(app)`."""
