"""Charts: candles → PNG.

`open_renderer` starts what draws; `draw(chart)` of what it yields returns a PNG. The drawing itself is a worker
process's (charts.worker), so that the hub's loop never waits for it and its memory is not the hub's.
"""

from charts.chart import Average, Chart, Level, Mark, Series, Theme, theme_of
from charts.renderer import Renderer, open_renderer

__all__ = ["Average", "Chart", "Level", "Mark", "Renderer", "Series", "Theme", "open_renderer", "theme_of"]
