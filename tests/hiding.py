"""Packages that cannot be found, as if they were not installed, in a process of its own."""

# The start of a program: `hide(names)` makes every later import of these packages fail.
HIDE = """
import sys
from importlib.machinery import PathFinder

def hide(names):
    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.partition(".")[0] in names else super().find_spec(name, path, target)

    sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
"""
