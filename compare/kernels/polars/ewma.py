from pathlib import Path

import polars as pl
from polars.plugins import register_plugin_function


def ewma(x, at) -> pl.Expr:
    return register_plugin_function(
        plugin_path=Path(__file__).parent,
        function_name="ewma",
        args=[x, at],
        returns_scalar=True,
    )
