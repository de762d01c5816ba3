"""A folder per class, or without labels a folder per source."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import Claim, readable
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.layouts.tree import Tree

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 3


def read_folder(tree: Tree, *, has_labels: bool, rule: LabelRule = ONE_LABEL) -> list[Claim]:
    """List the clips of ``<class>/<file>`` or ``<class>/<source>/.../<file>``.

    The class is the first folder's name. The source is the second folder's name, so ``walk/camera1/x.mp4`` and
    ``run/camera1/y.mp4`` have the same one; a file that lies directly in its class's folder is a source of its own.
    Without labels a folder is read as ``<source>/.../<file>``.

    Raises:
        UserError: There is no video, or a folder's name cannot be a class.
    """
    root, claims, loose = tree.root, [], []
    for path in tree.videos:
        parts = path.relative_to(root).parts
        if has_labels and len(parts) == 1:
            loose.append(tree.uri(path))
        else:
            uri = tree.uri(path)
            of_source = parts[1:] if has_labels else parts
            source_id = readable(Path(of_source[0])) if len(of_source) > 1 else uri
            label = rule.label([readable(Path(parts[0]))], root) if has_labels else None
            claims.append(Claim(path, uri, label, source_id, may_be_link=False))
    say_loose(loose)
    if others := Counter(path.suffix.lower() or "no suffix" for path in tree.others):
        named = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        logger.info("files that are not video by their name are left out: %s", named)
    if not claims:
        folder = "<class>" if has_labels else "<source>"
        raise UserError(f"{root}: {no_video(loose)} here; expected {root}/{folder}/<file>.mp4, or a table clips.csv")
    return sorted(claims, key=lambda claim: claim.order)


def no_video(loose: Sequence[str]) -> str:
    """What a folder lacks in which only ``loose`` lie outside of a class's folder."""
    return "no video in a class's folder" if loose else "no video"


def say_loose(names: Sequence[str]) -> None:
    """Say which videos lie outside of a class's folder."""
    if names:
        named = ", ".join(names[:_NAMED_AT_MOST]) + (", ..." if len(names) > _NAMED_AT_MOST else "")
        logger.warning("%d videos that lie outside of a class's folder are left out: %s", len(names), named)
