"""Candles to PNG. The room is empty until the chart renderer moves in."""
