import re
import threading
from pathlib import Path

import pytest

from models.errors import UserError
from tasks import promote as module
from tasks.decisions import decisions
from tasks.params.quality import JudgeParams, PromoteParams
from tasks.promote import introduce, promote, promote_clear_win, rollback, set_challenger
from tasks.registry.client import registry, version_with_alias
from tasks.registry.lock import alone_with
from tests.support.registries import add_version, own_home
from tests.support.verdicts import verdict


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(place):
    with own_home(place) as home:
        yield home


@pytest.fixture
def name(home, request):
    return re.sub(r"\W+", "-", request.node.name)


@pytest.fixture
def three(name, tmp_path):
    for number in range(1, 4):
        assert add_version(tmp_path / str(number), name) == number
    return name


def champion(name: str) -> int | None:
    return version_with_alias(registry(), name, "champion")


def in_the_ui(name: str, version: int | None) -> None:
    if version is None:
        registry().delete_registered_model_alias(name, "champion")
    else:
        registry().set_registered_model_alias(name, "champion", str(version))


def log(name: str) -> list[tuple[str, int | None, int | None]]:
    rows = [row for row in reversed(decisions(None, name)) if "to" in row.evidence]
    return [(row.kind, row.evidence["from"], row.evidence["to"]) for row in rows]


def test_a_promotion_moves_the_alias_and_says_who_and_why(three):
    promotion = promote(three, 2, who="ada", why="it is better at night")
    assert (promotion.version, promotion.previous, promotion.changed) == (2, None, True)
    assert champion(three) == 2
    row = decisions(1, three)[0]
    assert (row.kind, row.what, row.why) == ("promote", "champion is version 2", "it is better at night (ada)")
    assert row.evidence["who"] == "ada"


def test_the_challenger_is_promoted_when_no_version_is_named(three):
    set_challenger(three, 3)
    assert promote(three, who="ada", why="").version == 3


def test_promoting_the_champion_again_changes_nothing(three):
    promote(three, 2, who="ada", why="")
    before = decisions(None, three)
    assert not promote(three, 2, who="ada", why="").changed
    assert decisions(None, three) == before


def test_rolling_back_goes_back_and_never_forth(three):
    for version in (1, 2, 3):
        promote(three, version, who="ada", why="")
    assert rollback(three, who="ada", why="").version == 2
    assert rollback(three, who="ada", why="").version == 1
    with pytest.raises(UserError, match="no champion before version 1"):
        rollback(three, who="ada", why="")
    assert champion(three) == 1
    assert log(three)[-2:] == [("rollback", 3, 2), ("rollback", 2, 1)]


def test_a_move_in_the_ui_is_entered_and_can_be_taken_back(three):
    promote(three, 1, who="ada", why="")
    in_the_ui(three, 3)
    assert rollback(three, who="ada", why="").version == 1
    assert log(three) == [("promote", None, 1), ("observe", 1, 3), ("rollback", 3, 1)]


def test_going_back_in_the_ui_counts_as_going_back(three):
    promote(three, 1, who="ada", why="")
    promote(three, 2, who="ada", why="")
    in_the_ui(three, 1)
    with pytest.raises(UserError, match="no champion before"):
        rollback(three, who="ada", why="")


def test_a_champion_whose_alias_was_removed_comes_back(three):
    promote(three, 2, who="ada", why="")
    in_the_ui(three, None)
    assert rollback(three, who="ada", why="").version == 2


def test_deleted_versions_are_passed_over_when_rolling_back(three):
    for version in (1, 2, 3):
        promote(three, version, who="ada", why="")
    registry().delete_model_version(three, "2")
    assert rollback(three, who="ada", why="").version == 1


def test_a_rollback_names_champions_that_are_all_gone(three):
    promote(three, 1, who="ada", why="")
    promote(three, 2, who="ada", why="")
    registry().delete_model_version(three, "1")
    with pytest.raises(UserError, match=r"every earlier champion \(1\) was deleted"):
        rollback(three, who="ada", why="")


def test_of_two_promotions_at_once_one_is_refused_and_both_are_in_the_log(three, monkeypatch):
    promote(three, 1, who="ada", why="")
    verified = threading.Barrier(2)
    check = module.verify_everything
    monkeypatch.setattr(module, "verify_everything", lambda *each: (check(*each), verified.wait(30)))
    outcomes: dict[int, object] = {}

    def attempt(version: int) -> None:
        try:
            outcomes[version] = promote(three, version, who=f"person {version}", why="")
        except UserError as error:
            outcomes[version] = error

    threads = [threading.Thread(target=attempt, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = champion(three)
    loser = {2: 3, 3: 2}[winner]
    assert outcomes[winner].version == winner
    assert f"from 1 to {winner}" in str(outcomes[loser])
    assert log(three) == [("promote", None, 1), ("promote", 1, winner)]
    refusal = decisions(1, three)[0]
    assert refusal.what == f"did not make version {loser} champion"
    assert refusal.evidence["who"] == f"person {loser}"


def test_a_promotion_waits_for_the_lock(three):
    done = threading.Event()
    thread = threading.Thread(target=lambda: (promote(three, 1, who="ada", why=""), done.set()))
    with alone_with(three):
        thread.start()
        assert not done.wait(1.0)
        assert champion(three) is None
    thread.join()
    assert champion(three) == 1


@pytest.mark.parametrize("change", ["altered", "removed", "added"])
def test_a_version_whose_files_are_not_what_was_registered_is_not_promoted(name, tmp_path, change):
    add_version(tmp_path / "v", name)
    code = tmp_path / "v" / "code" / "x.py"
    words = {"altered": "is not the file that was registered", "removed": "is missing", "added": "never registered"}
    if change == "altered":
        code.write_text("import os")
    elif change == "removed":
        code.unlink()
    else:
        code.with_name("y.py").write_text("")
    with pytest.raises(UserError, match=words[change]):
        promote(name, 1, who="ada", why="")
    assert champion(name) is None


def test_checksums_that_were_exchanged_with_the_tag_are_found_by_the_log(name, tmp_path):
    from tasks.registry.names import CHECKSUMS
    from tasks.registry.trust import write_checksums

    add_version(tmp_path / "v", name)
    (tmp_path / "v" / "code" / "x.py").write_text("import os")
    (tmp_path / "v" / "checksums.json").unlink()
    registry().set_model_version_tag(name, "1", CHECKSUMS, write_checksums(tmp_path / "v"))
    with pytest.raises(UserError, match="not what the decision log says"):
        promote(name, 1, who="ada", why="")


def test_a_version_that_somebody_else_registered_is_not_promoted(name, tmp_path):
    client = registry()
    client.create_registered_model(name)
    client.create_model_version(name, str(tmp_path))
    with pytest.raises(UserError, match="carries no checksums"):
        promote(name, 1, who="ada", why="")


def test_what_does_not_exist_is_answered_with_what_does(three):
    with pytest.raises(UserError, match=r"no version 9.*versions: 1, 2, 3"):
        promote(three, 9, who="ada", why="")
    with pytest.raises(UserError, match=f"no such model.*{three}"):
        promote("absent", 1, who="ada", why="")
    with pytest.raises(UserError, match="no such model"):
        rollback("absent", who="ada", why="")
    with pytest.raises(UserError, match="there is no challenger"):
        promote(three, who="ada", why="")
    with pytest.raises(UserError, match="no version 9"):
        set_challenger(three, 9)


def test_the_first_version_becomes_champion_by_policy_and_later_ones_challengers(three):
    introduce(three, 1, PromoteParams(first=True))
    introduce(three, 1, PromoteParams(first=True))
    introduce(three, 2, PromoteParams(first=True))
    assert champion(three) == 1
    assert version_with_alias(registry(), three, "challenger") == 2
    assert log(three) == [("promote", None, 1)]


def test_policy_crowns_nobody_where_it_may_not_or_a_person_took_the_alias_away(three):
    introduce(three, 1, PromoteParams(first=False))
    assert champion(three) is None
    assert version_with_alias(registry(), three, "challenger") == 1
    promote(three, 2, who="ada", why="")
    in_the_ui(three, None)
    introduce(three, 3, PromoteParams(first=True))
    assert champion(three) is None


AUTO = JudgeParams(promote="auto")


def win(version: int, champion: int):
    return verdict("better", version=version, champion=champion, text="it is better")


def test_policy_promotes_a_clear_win_once_and_says_why(three):
    promote(three, 1, who="ada", why="")
    assert promote_clear_win(three, win(2, 1), AUTO)
    assert not promote_clear_win(three, win(2, 1), AUTO)
    assert champion(three) == 2
    row = decisions(1, three)[0]
    assert (row.kind, row.what) == ("promote", "champion is version 2, was 1")
    assert row.why == "a clear win is promoted (judge.promote in params.yaml): it is better (policy)"
    assert row.evidence["who"] == "policy"


@pytest.mark.parametrize("outcome", ["not worse", "undecided", "worse", "blocked", "first"])
def test_policy_promotes_nothing_but_a_clear_win_and_only_where_it_may(three, outcome):
    promote(three, 1, who="ada", why="")
    assert not promote_clear_win(three, verdict(outcome, version=2, champion=1), AUTO)
    assert not promote_clear_win(three, win(2, 1), JudgeParams())
    assert champion(three) == 1


def test_policy_does_not_promote_again_what_a_person_took_back(three):
    promote(three, 1, who="ada", why="")
    promote_clear_win(three, win(2, 1), AUTO)
    rollback(three, who="ada", why="it fails at night")
    assert not promote_clear_win(three, win(2, 1), AUTO)
    assert champion(three) == 1


def test_a_win_against_another_champion_is_none(three):
    promote(three, 3, who="ada", why="")
    assert not promote_clear_win(three, win(2, 1), AUTO)
    assert champion(three) == 3


def a_person_promotes_meanwhile(monkeypatch, name: str, version: int) -> None:
    """While policy checks the files of its version a person makes ``version`` champion."""
    check = module.verify_everything
    monkeypatch.setattr(module, "verify_everything", lambda *each: (check(*each), in_the_ui(name, version)))


def test_policy_gives_way_to_a_person_who_promotes_meanwhile_and_the_round_goes_on(three, monkeypatch, caplog):
    promote(three, 1, who="ada", why="")
    a_person_promotes_meanwhile(monkeypatch, three, 3)
    assert promote_clear_win(three, win(2, 1), AUTO) is False
    assert champion(three) == 3
    row = decisions(1, three)[0]
    assert (row.what, row.evidence["who"]) == ("did not make version 2 champion", "policy")
    assert "from 1 to 3" in caplog.text


def test_a_first_version_is_a_challenger_where_a_person_promotes_another_meanwhile(three, monkeypatch):
    a_person_promotes_meanwhile(monkeypatch, three, 3)
    introduce(three, 1, PromoteParams(first=True))
    assert champion(three) == 3
    assert version_with_alias(registry(), three, "challenger") == 1


def test_a_promotion_by_policy_that_was_killed_is_made_by_the_next_start(three, monkeypatch):
    promote(three, 1, who="ada", why="")
    with monkeypatch.context() as patch:
        patch.setattr(module, "move", lambda *_args, **_more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote_clear_win(three, win(2, 1), AUTO)
    assert champion(three) == 1
    assert promote_clear_win(three, win(2, 1), AUTO)
    assert log(three) == [("promote", None, 1), ("promote", 1, 2)]


def test_an_mlflow_that_does_not_answer_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with own_home(tmp_path / "home", "http://127.0.0.1:9"), pytest.raises(UserError, match="MLflow at http://127"):
        promote("actions", 1, who="ada", why="")
    assert not Path("mlruns").exists()
