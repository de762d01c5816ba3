"""How pages are made: every name is escaped, none turns text round, and a missing value stops the page."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_EMBEDDINGS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def page_environment(folder: Path, **filters: Callable[..., Any]) -> Environment:
    """Templates of ``folder``, and the style sheet of this one, with the filter ``percent`` and those given."""
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, **filters}
    return environment


def visible(text: str) -> str:
    """Spell out what would turn text round or move it: names come from people and files."""
    return "".join(f"\\u{ord(character):04x}" if _moves_text(character) else character for character in text)


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _moves_text(character: str) -> bool:
    return unicodedata.category(character) == "Cc" or unicodedata.bidirectional(character) in _EMBEDDINGS


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
