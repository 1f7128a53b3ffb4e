"""Charts as PNG and SVG, made on this machine by vl-convert; nothing is fetched."""

from typing import Any


def to_svg(chart: Any) -> str:
    """Return the chart as an SVG text."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(chart.to_json(), allowed_base_urls=[])
    return svg


def to_png(chart: Any, *, scale: float = 2.0) -> bytes:
    """Return the chart as a PNG, `scale` times its size in points."""
    import vl_convert

    png: bytes = vl_convert.vegalite_to_png(chart.to_json(), scale=scale, allowed_base_urls=[])
    return png
