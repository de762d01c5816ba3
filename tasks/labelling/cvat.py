"""CVAT's side of a labelling request: classes as its labels, and films whose names say which clip they are."""

import json
import re
from collections.abc import Sequence

from models.clips.label_sets import NOTHING
from tasks.report.environment import visible

_FILM = re.compile(r"\d+-(?P<clip_id>.+)\.mp4")


def raw_labels(labels: Sequence[str], *, several: bool = False) -> str:
    """The labels of a project, as CVAT's constructor takes them ("Raw"): each is a tag.

    Args:
        labels: That are offered.
        several: Whether a clip may have several, or none of them: that is a tag too, as a film without one is not done.
    """
    labels = [*labels, NOTHING] if several else labels
    content = [{"name": visible(label), "type": "tag", "attributes": []} for label in labels]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def film_name(number: int, clip_id: str) -> str:
    """The name of a clip's film in a request: an export keeps no other trace of the clip."""
    return f"{number:04d}-{clip_id}.mp4"


def clip_of(film: str) -> str:
    """Which clip a film of a request is; empty where its name does not say."""
    match = _FILM.fullmatch(film)
    return match["clip_id"] if match else ""
