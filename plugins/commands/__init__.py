"""What a person can ask, a module each. Contract: hub.plugin.Command."""
