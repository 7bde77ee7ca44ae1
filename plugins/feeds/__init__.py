"""Price sources, a module each. Contract: hub.plugin.Feed."""
