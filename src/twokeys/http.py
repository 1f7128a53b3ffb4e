"""httpx as every module here imports it: loaded at its first use, and without its command line.

Neither the first page nor most commands ask anybody anything, and httpx takes a seventh of the time until
they are there. Its command line would load click, rich and pygments: httpx foresees that it is not there,
and a None in `sys.modules` is Python's documented way to say so. Annotations with its types are quoted.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx as httpx
else:

    class _Httpx:
        """Stands for the module; each name is looked up in it when it is used."""

        def __getattr__(self, name: str) -> object:
            sys.modules.setdefault("httpx._main", None)
            value = getattr(import_module("httpx"), name)
            setattr(self, name, value)
            return value

    httpx = _Httpx()
