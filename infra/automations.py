"""What Prefect's server does by itself (``automations.yaml``): set up once, however often it is asked for."""

from pathlib import Path
from typing import Any

import requests
import yaml

from models.errors import UserError

FILE = Path(__file__).with_suffix(".yaml")


def set_up(session: requests.Session, url: str, *, alert: str = "", file: Path = FILE) -> None:
    """Make the automations as the file describes them, each whether or not it is there.

    One that is as described is left alone, with what it has counted. One that somebody has switched off stays off.

    Args:
        session: Asks Prefect.
        url: Of its API.
        alert: Notification block that hears of each, as ``TYPE/NAME``; empty for none.
        file: Which automations.

    Raises:
        UserError: Prefect has no such block.
    """
    block = _block(session, url, alert) if alert else None
    known = {found["name"]: found for found in _answer(session.post(f"{url}/automations/filter", json={}, timeout=30))}
    for wanted in yaml.safe_load(file.read_text(encoding="utf-8"))["automations"]:
        if block:
            wanted["actions"].append(_notification(block, wanted))
        found = known.get(wanted["name"])
        if found is None:
            _answer(session.post(f"{url}/automations/", json=wanted, timeout=30))
        elif not _is_as(found, wanted):
            own = {**wanted, "enabled": found["enabled"]}
            _answer(session.put(f"{url}/automations/{found['id']}", json=own, timeout=30))


def _block(session: requests.Session, url: str, alert: str) -> str:
    """The identity of a notification block."""
    kind, _, name = alert.partition("/")
    answer = session.get(f"{url}/block_types/slug/{kind}/block_documents/name/{name}", timeout=30)
    if answer.status_code == requests.codes.not_found or not name:
        raise UserError(
            f"VIDEOLOOP_ALERT: Prefect has no notification block {alert!r}; make one in its UI (Blocks) and give its "
            "TYPE/NAME, such as slack-webhook/videoloop, or unset the variable"
        )
    return str(_answer(answer)["id"])


def _notification(block: str, wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "send-notification",
        "block_document_id": block,
        "subject": wanted["name"],
        "body": wanted["description"],
    }


def _answer(answer: requests.Response) -> Any:
    answer.raise_for_status()
    return answer.json() if answer.content else None


def _is_as(found: Any, wanted: Any) -> bool:
    """Whether what the server has says all that is wanted; it adds identities and defaults, and orders sets anew."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and _is_as(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        if all(isinstance(part, str) for part in wanted):
            return sorted(found) == sorted(wanted)
        return all(_is_as(*pair) for pair in zip(found, wanted, strict=True))
    return bool(found == wanted)
