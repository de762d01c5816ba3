import subprocess
import sys

import pytest

from infra import servers


def test_the_command_line_does_not_import_prefect_before_it_knows_the_server() -> None:
    script = "import sys, infra.demo.days, flows.cli; print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_who_connects_too_late_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect", object())
    with pytest.raises(RuntimeError, match="temporary server"):
        servers.connect(print)
