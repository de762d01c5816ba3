import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.backbones.published import FOLDER_VARIABLE, Published, renaming
from models.errors import UserError

TENSORS = {"blocks.0.weight": torch.arange(6.0).view(2, 3), "head.weight": torch.ones(4)}
KEEP = renaming(ignored=["head.weight"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    return tmp_path / "weights"


class Quiet(SimpleHTTPRequestHandler):
    served: list[str] = []  # noqa: RUF012 - emptied by the fixture

    def log_message(self, *_: object) -> None:
        self.served.append(self.path)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a real server publishes it."""
    Quiet.served.clear()
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shelf))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield shelf, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once_and_read_without_its_classifier(publisher: tuple[Path, str], folder: Path) -> None:
    shelf, address = publisher
    torch.save({"model_state": TENSORS, "epoch": 3}, shelf / "NET.pyth")
    published = Published(f"{address}/NET.pyth", KEEP, sha256_of(shelf / "NET.pyth")[:8])
    for _ in range(2):
        state = published.read(published.file(), {})
        assert list(state) == ["blocks.0.weight"]
        assert torch.equal(state["blocks.0.weight"], TENSORS["blocks.0.weight"])
    assert Quiet.served == ["/NET.pyth"]
    digest = sha256_of(shelf / "NET.pyth")[:32]
    assert sorted(path.name for path in folder.iterdir()) == sorted(["NET.pyth", f"{digest}.safetensors"])


def test_without_a_network_it_says_what_to_fetch_and_where_to_put_it(folder: Path) -> None:
    url = "http://127.0.0.1:9/zoo/NET.pyth"
    with pytest.raises(UserError) as raised:
        Published(url, KEEP).file()
    assert url in str(raised.value)
    assert str(folder / "NET.pyth") in str(raised.value)
    assert not folder.exists() or not list(folder.iterdir())


def test_a_file_that_is_not_there_leaves_nothing_behind(publisher: tuple[Path, str], folder: Path) -> None:
    with pytest.raises(UserError, match="404"):
        Published(f"{publisher[1]}/NET.pyth", KEEP).file()
    assert not folder.exists() or not list(folder.iterdir())


def test_a_file_that_a_person_put_there_is_used(folder: Path) -> None:
    folder.mkdir()
    torch.save(TENSORS, folder / "NET.pyth")
    published = Published("http://127.0.0.1:9/NET.pyth", KEEP)
    assert torch.equal(published.read(published.file(), {})["blocks.0.weight"], TENSORS["blocks.0.weight"])


def test_another_file_under_the_name_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "NET.pyth").write_bytes(b"something else")
    with pytest.raises(UserError, match="does not begin with 0676ba61"):
        Published("http://127.0.0.1:9/NET.pyth", KEEP, "0676ba61").file()


def test_a_replaced_file_is_read_anew(folder: Path) -> None:
    folder.mkdir()
    published = Published("http://127.0.0.1:9/NET.pyth", KEEP)
    for value in (1.0, 2.0):
        torch.save({"state_dict": {"blocks.0.weight": torch.full((2,), value)}}, folder / "NET.pyth")
        assert published.read(published.file(), {})["blocks.0.weight"].tolist() == [value, value]


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/nonexistent/ran"),)  # type: ignore[return-value]


@pytest.mark.parametrize("content", [Payload(), {"epoch": 3}, [1, 2]], ids=["code", "no tensors", "a list"])
def test_what_is_no_state_dict_is_refused_and_never_run(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "NET.pyth")
    with pytest.raises(UserError, match=r"NET.pyth: model.weights"):
        Published("http://127.0.0.1:9/NET.pyth", KEEP).read(tmp_path / "NET.pyth", {})


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "NET.pyth")
    (tmp_path / "NET.pyth").write_bytes((tmp_path / "NET.pyth").read_bytes()[:300])
    with pytest.raises(UserError, match="damaged"):
        Published("http://127.0.0.1:9/NET.pyth", KEEP).read(tmp_path / "NET.pyth", {})


def test_a_file_of_an_old_pytorch_is_read(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "NET.pt", _use_new_zipfile_serialization=False)
    state = Published("http://127.0.0.1:9/NET.pt", KEEP).read(tmp_path / "NET.pt", {})
    assert torch.equal(state["blocks.0.weight"], TENSORS["blocks.0.weight"])


def test_tied_weights_and_safetensors_are_read(tmp_path: Path) -> None:
    tied = torch.arange(3.0)
    torch.save({"a": tied, "b": tied[:2]}, tmp_path / "NET.pyth")
    save_file({"a": torch.zeros(1)}, tmp_path / "NET.safetensors")
    published = Published("http://127.0.0.1:9/NET.pyth", renaming([("a", "weight")]))
    assert {name: value.tolist() for name, value in published.read(tmp_path / "NET.pyth", {}).items()} == {
        "weight": [0.0, 1.0, 2.0],
        "b": [0.0, 1.0],
    }
    assert list(published.read(tmp_path / "NET.safetensors", {})) == ["weight"]


def test_the_first_rule_that_matches_renames_the_start_of_a_name() -> None:
    convert = renaming([(r"stem\.(\d)\.", r"s\1."), (r"stem", "other")])
    assert list(convert({"stem.3.stem": TENSORS["head.weight"], "stem": TENSORS["head.weight"]}, {})) == [
        "s3.stem",
        "other",
    ]


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
