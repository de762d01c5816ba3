import pytest
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from tasks.registry.names import CHECKSUMS
from tasks.serve.last_good import LastGood
from tasks.serve.model import identity_of


def test_a_version_comes_back_as_the_registry_gave_it(tmp_path):
    version = ModelVersion("actions", "7", 0, source="models:/m-1", tags=[ModelVersionTag(CHECKSUMS, "0" * 64)])
    LastGood(tmp_path, "actions").remember(version)
    again = LastGood(tmp_path, "actions")
    assert again.remembered() == 7
    kept = again.version()
    assert (kept.name, kept.source, identity_of(kept)) == (version.name, version.source, identity_of(version))
    assert LastGood(tmp_path, "others").version() is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "x", "source": "", "checksums": ""}', "null"])
def test_a_damaged_file_remembers_nothing(tmp_path, content):
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve" / "actions.json").write_text(content)
    last = LastGood(tmp_path, "actions")
    assert (last.remembered(), last.version()) == (None, None)


def test_a_name_cannot_leave_the_folder(tmp_path):
    assert LastGood(tmp_path, "../../x")._path.parent == tmp_path / "serve"
