import pytest

from infra.demo import __main__, dataset
from infra.demo.__main__ import main
from infra.demo.dataset import World
from tasks.process import readable


def test_the_command_line_reaches_the_world(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(__main__, "write_world", lambda world, out, **numbers: asked.append((world, out, numbers)))
    options = {"look": "far", "cameras": 3, "clips-per-action": 4, "seed": 5, "batch": 6, "workers": 7}
    main([str(tmp_path), *(f"--{name}={value}" for name, value in options.items())])
    assert asked == [
        (World("far", 5, 6), tmp_path, {"cameras": 3, "clips_per_action": 4, "workers": 7}),
    ]


def test_without_options_it_is_the_demonstrations_world(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(__main__, "write_world", lambda world, out, **numbers: asked.append((world, numbers)))
    main([str(tmp_path)])
    world, numbers = asked[0]
    assert world == World()
    assert numbers["cameras"] == 24


def test_a_wrong_look_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert readable(lambda: main([str(tmp_path / "world"), "--look", "sepia"])) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --look sepia: there is no such look; choose one of base,")
    assert error.count("\n") == 1
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize("arguments", [["--cameras", "many"], ["--unknown", "1"]])
def test_nonsense_on_the_command_line_is_exit_code_2(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "world"), *arguments])
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_progress_is_logged_without_a_terminal(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(dataset, "_LOG_EVERY", 2)
    with caplog.at_level("INFO", logger="infra.demo.dataset"):
        for _ in range(2):
            dataset.write_world(
                World(num_frames=1, size=(16, 16)), tmp_path / "world", cameras=1, clips_per_action=3, actions=["run"]
            )
    assert caplog.messages == ["rendered 2 of 3 clips", "3 of 3 clips are there already"]
