from types import SimpleNamespace

import pytest

from flows.steps import introduce
from tasks.params.quality import JudgeParams
from tasks.promote import promote
from tasks.registry.client import registry, version_with_alias
from tasks.summary import Timed
from tests.support.registries import add_version, own_home
from tests.support.rounds import params_of
from tests.support.verdicts import verdict


@pytest.mark.parametrize(("promotes", "champion"), [("people", 1), ("auto", 2)])
def test_a_round_introduces_its_version_and_policy_crowns_a_clear_win(tmp_path, promotes, champion):
    params = params_of().model_copy(update={"judge": JudgeParams(promote=promotes)})
    judged = verdict("better", version=2, champion=1)
    with own_home(tmp_path / "home"):
        assert [add_version(tmp_path / str(number)) for number in (1, 2)] == [1, 2]
        promote("actions", 1, who="ada", why="")
        for _ in range(2):  # a start that was killed before is made again
            introduce.fn(SimpleNamespace(params=params), Timed(2, 0.0), Timed(judged, 0.0))
        found = [version_with_alias(registry(), "actions", alias) for alias in ("champion", "challenger")]
    assert found == [champion, 2]
