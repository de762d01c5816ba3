import base64
import stat
from concurrent.futures import ThreadPoolExecutor

from tasks.kept_secret import kept_secret
from tasks.settings import Settings


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path):
    config = Settings(home=tmp_path)
    with ThreadPoolExecutor(8) as executor:
        found = set(executor.map(lambda _: kept_secret(config, "one"), range(16)))
    (secret,) = found
    assert len(base64.urlsafe_b64decode(secret)) == 32
    assert kept_secret(config, "other") != secret
    files = sorted((tmp_path / "secrets").iterdir())
    assert [path.name for path in files] == ["one", "other"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
