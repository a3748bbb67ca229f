from pathlib import Path

import polars as pl
from polars.plugins import register_plugin_function


def haversine_km(lat1, lon1, lat2, lon2) -> pl.Expr:
    return register_plugin_function(
        plugin_path=Path(__file__).parent,
        function_name="haversine_km",
        args=[lat1, lon1, lat2, lon2],
        is_elementwise=True,
    )
