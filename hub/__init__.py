"""Tocsin's core: prices in, every tick stored once, every crossing rung once. See docs/architecture.md."""

__version__ = "0.1.0"
