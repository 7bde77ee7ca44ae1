"""Chat platforms: one module a bot, each run in a process of its own. Contract: hub.plugin.Bot."""
