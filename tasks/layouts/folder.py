"""A folder per class, or without labels a folder per source."""

import logging
from collections import Counter
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import Claim, readable
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.layouts.tree import Tree

logger = logging.getLogger(__name__)


def read_folder(tree: Tree, *, has_labels: bool, rule: LabelRule = ONE_LABEL) -> list[Claim]:
    """List the clips of ``<class>/<file>`` or ``<class>/<source>/.../<file>``.

    The class is the first folder's name. The source is the second folder's name, so ``walk/camera1/x.mp4`` and
    ``run/camera1/y.mp4`` have the same one; a file that lies directly in its class's folder is a source of its own.
    Without labels a folder is read as ``<source>/.../<file>``.

    Raises:
        UserError: There is no video, or a folder's name cannot be a class.
    """
    root, claims = tree.root, []
    for path in tree.videos:
        parts = path.relative_to(root).parts
        if has_labels and len(parts) == 1:
            logger.warning("%s lies outside of a class's folder and is left out", readable(path))
        else:
            uri = tree.uri(path)
            of_source = parts[1:] if has_labels else parts
            source_id = readable(Path(of_source[0])) if len(of_source) > 1 else uri
            label = rule.label([readable(Path(parts[0]))], root) if has_labels else None
            claims.append(Claim(path, uri, label, source_id, may_be_link=False))
    if others := Counter(path.suffix.lower() or "no suffix" for path in tree.others):
        named = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        logger.info("files that are not video by their name are left out: %s", named)
    if not claims:
        folder = "<class>" if has_labels else "<source>"
        raise UserError(f"{root}: no video here; expected {root}/{folder}/<file>.mp4, or a table clips.csv")
    return sorted(claims, key=lambda claim: claim.order)
