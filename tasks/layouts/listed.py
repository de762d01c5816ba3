"""What well-known datasets have in common: lists name clips, and files may be missing or be called otherwise."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.layouts.official import with_three_splits
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.layouts.tree import Tree
from tasks.params.data import SplitParams
from tasks.video.clips import WHOLE, Segment

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Entry:
    """A clip as a list names it.

    Attributes:
        place: The list and its row, for messages.
        names: What its file may be called, without suffix, and the stretch of it that counts; the first that is there.
        label: Its class; None where the list does not say.
        source_id: The origin on which the clip depends; empty for the file itself.
        split: In which official split it is; None where it is in none.
        folder: Its file's folder, where several files have the same name.
        answers: What people said of it, each with the labels that he or she named, where the list has that instead of a
            class.
    """

    place: str
    names: tuple[tuple[str, Segment], ...]
    label: str | None
    source_id: str
    split: str | None
    folder: str = ""
    answers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a well-known dataset lies on a disk.

    Attributes:
        name: As ``--layout`` and ``ingest.layout`` say it.
        title: As people know it.
        lists: Which lists it has, for people.
        find: The lists among a folder's other files; none where it is not this layout.
        read: What the lists say; takes the number of the official split.
    """

    name: str
    title: str
    lists: str
    find: Callable[[Sequence[Path]], list[Path]]
    read: Callable[[Sequence[Path], int], list[Entry]]


def read_lists(
    layout: Layout,
    lists: Sequence[Path],
    tree: Tree,
    *,
    has_labels: bool,
    official: int,
    split: SplitParams | None,
    rule: LabelRule = ONE_LABEL,
) -> list[Claim]:
    """The clips that lists name, and in one sentence what they were taken for.

    Args:
        layout: Which dataset it is.
        lists: Its lists.
        tree: Where its videos lie.
        has_labels: Whether clips without a label are left out.
        official: The number of the official split.
        split: Section ``split``; see :func:`tasks.video.sources.read_claims`.
        rule: How many labels a clip may have.

    Raises:
        UserError: A list is wrong, or none of its clips is here.
    """
    entries = [_named(entry, rule) for entry in layout.read(lists, official)]
    has_splits = any(entry.split for entry in entries)
    given = has_splits and split is not None and split.by == "given"
    labelled = [entry for entry in entries if entry.label or not has_labels]
    taken = [entry for entry in labelled if entry.split or not given]
    if not taken:
        raise UserError(f"{lists[0]}: no clip in it has a label; bring such video in with --unlabelled")
    claims, said = claims_of(taken, tree), []
    if given and split is not None:
        claims, remarks = with_three_splits(claims, split.val)
        said = [f"official split {official}", *remarks]
    elif has_splits:
        said = ["its official split is not used, as split.by is not given"]
    if len(labelled) < len(entries):
        said.append(f"{len(entries) - len(labelled)} clips have no label and are left out")
    if len(taken) < len(labelled):
        said.append(f"{len(labelled) - len(taken)} clips are on no side of the split and are left out")
    names = ", ".join(path.name for path in lists[:_NAMED_AT_MOST]) + (", ..." if len(lists) > _NAMED_AT_MOST else "")
    logger.info("%s: read as %s by %s", tree.name, layout.title, "; ".join([names, *said]))
    return claims


def _named(entry: Entry, rule: LabelRule) -> Entry:
    """The entry with what the manifest says of its clip as its label."""
    if entry.label is not None:
        return replace(entry, label=rule.label([entry.label], entry.place))
    return replace(entry, label=rule.agreed(entry.answers, entry.place))


def whole(name: str) -> tuple[tuple[str, Segment], ...]:
    """The names of a clip that is a file of its own."""
    return ((name, WHOLE),)


def claims_of(entries: Sequence[Entry], tree: Tree) -> list[Claim]:
    """Find the file of each entry. What a list names and is not here is counted and left out, and so is the reverse.

    Raises:
        UserError: Two files may be meant, two rows contradict each other, or none of the files is here.
    """
    claims: dict[tuple[Path, Segment], Claim] = {}
    places: dict[tuple[Path, Segment], str] = {}
    missing: list[Entry] = []
    for entry in entries:
        found = _file_of(entry, tree)
        if found is None:
            missing.append(entry)
            continue
        path, segment = found
        uri = tree.uri(path)
        claim = Claim(path, uri, entry.label, entry.source_id or uri, segment, split=entry.split, may_be_link=False)
        place = places.setdefault(found, entry.place)
        if claims.setdefault(found, claim) != claim:
            raise UserError(f"{entry.place}: {uri} has another class or split in {place}; remove one of the rows")
    if not claims:
        raise UserError(
            f"{tree.name}: none of the {len(entries)} clips that the lists name is here, such as "
            f"{entries[0].names[0][0]}.mp4; put the videos below this folder"
        )
    _say_what_is_left_out(missing, tree, {path for path, _ in claims})
    return sorted(claims.values(), key=lambda claim: claim.order)


def _file_of(entry: Entry, tree: Tree) -> tuple[Path, Segment] | None:
    for name, segment in entry.names:
        found = tree.by_stem.get(name, [])
        if len(found) > 1:
            found = [path for path in found if path.parent.name == entry.folder] or found
        if len(found) > 1:
            raise UserError(
                f"{entry.place}: {tree.uri(found[0])} and {tree.uri(found[1])} may both be meant; remove one of them"
            )
        if found:
            return found[0], segment
    return None


def _say_what_is_left_out(missing: Sequence[Entry], tree: Tree, taken: set[Path]) -> None:
    if missing:
        named = "; ".join(f"{tree.said(entry.place)}: {entry.names[0][0]}" for entry in missing[:_NAMED_AT_MOST])
        logger.warning("%d clips that the lists name are not here and are left out: %s", len(missing), named)
    if unnamed := [path for path in tree.videos if path not in taken]:
        named = ", ".join(tree.uri(path) for path in unnamed[:_NAMED_AT_MOST])
        logger.warning("%d videos that no list names are left out: %s", len(unnamed), named)


def rows_of(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a list that are not empty, each behind its place for messages.

    Raises:
        UserError: It is no text.
    """
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        if row := line.strip():
            yield f"{path}: row {number}", row


def text_of(path: Path) -> str:
    """The text of a list.

    Raises:
        UserError: It is no text, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not text in UTF-8; unpack the dataset's lists again") from None
    except PermissionError:
        raise
    except OSError as error:
        raise UserError(f"{path}: this cannot be read: {(error.strerror or 'input/output error').lower()}") from None


def by_name(lists: Sequence[Path]) -> dict[str, Path]:
    """Lists by the name of their file.

    Raises:
        UserError: Two have the same name.
    """
    found: dict[str, Path] = {}
    for path in lists:
        if (other := found.setdefault(path.name, path)) != path:
            raise UserError(f"{path}: {other} has the same name; keep one of them")
    return found
