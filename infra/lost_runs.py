"""Runs that nobody works on any more, though Prefect's server says that they run.

What became of a run is told by its process or, where that was killed, by its worker. Where both are gone, as after a
power cut, the next worker does not ask: such a run would be under way for ever, and no other started in its place.
"""

import psutil
import requests

_UNDER_WAY = ["PENDING", "RUNNING", "CANCELLING"]
_TIMEOUT_S = 30


def report_lost_runs(session: requests.Session, api: str, *, pool: str, worker: str) -> list[str]:
    """Tell the server that runs of a worker which has died have crashed, unless their processes live.

    To be called while no worker of this name is up.

    Args:
        session: That asks the server.
        api: Address of the server's API.
        pool: The work pool.
        worker: Name of the worker, on this machine.

    Returns:
        Their names.

    Raises:
        requests.HTTPError: The server refuses.
    """
    alive = _run_ids_of_processes()  # first: what ends between these two lines has told the server
    query = {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": {"state": {"type": {"any_": _UNDER_WAY}}}}
    answer = session.post(f"{api}/flow_runs/filter", json=query, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    # A run that was claimed a moment before the worker died does not name it yet.
    ours = [run for run in answer.json() if run["labels"].get("prefect.worker.name", worker) == worker]
    lost = [run for run in ours if run["id"] not in alive]
    for run in lost:
        state = {"type": "CRASHED", "name": "Crashed", "message": "Its process and its worker were killed."}
        url = f"{api}/flow_runs/{run['id']}/set_state"
        session.post(url, json={"state": state}, timeout=_TIMEOUT_S).raise_for_status()
    return [run["name"] for run in lost]


def _run_ids_of_processes() -> set[str]:
    """The runs that processes of this machine, as far as they may be looked into, belong to."""
    environments = (process.info["environ"] or {} for process in psutil.process_iter(["environ"]))
    return {environment[_RUN_ID] for environment in environments if _RUN_ID in environment}


_RUN_ID = "PREFECT__FLOW_RUN_ID"
