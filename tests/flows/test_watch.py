from rich.console import Console

from flows import watch as module
from flows.summary import show_watch


def test_a_watch_without_a_champion_completes_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(module, "look", lambda source, now, labelled: None)
    found = module.watch.fn()
    show_watch(Console(), found)
    assert "There is no champion yet" in capsys.readouterr().out
