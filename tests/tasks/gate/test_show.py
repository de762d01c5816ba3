from tasks.gate.outcome import sentences
from tasks.gate.show import described_with, tags_of
from tests.support.verdicts import comparison, verdict

LINKS = "Accuracy 0.9\n\n[Report of the round](http://x)"
LOW = [f"class {number} is at 0.450 (champion 0.800), below its floor of 0.5" for number in range(65)]


def blocked(blocks):
    world = comparison(0.1, 0.2, 0.3)
    text = sentences(5, 3, world, world, tolerance=0.02, confidence=0.95, blocks=blocks)
    return verdict("blocked", blocks=tuple(blocks), text=text)


def test_the_verdict_comes_first_and_takes_the_place_of_an_earlier_one():
    described = described_with(verdict(text="once"), LINKS)
    assert described == f"**Verdict** once\n\n{LINKS}"
    assert described_with(verdict(text="again"), described) == f"**Verdict** again\n\n{LINKS}"
    assert described_with(verdict(text="once"), "") == "**Verdict** once"


def test_sixty_five_low_classes_are_ten_and_a_number():
    low = blocked(LOW)
    for said in (low.text, tags_of(low)["videoloop.verdict.blocks"]):
        assert "class 9 is at" in said
        assert "class 10 is at" not in said
        assert "and 55 more" in said
    assert len(low.blocks) == 65


def test_names_of_any_length_leave_what_mlflow_stores_and_a_persons_words_stay_whole():
    long = blocked([f"class {'x' * 2000} is at 0.450"] * 10)
    note = "A person's note. " * 100
    described = described_with(long, f"{LINKS}\n\n{note}")
    assert len(described) <= 5000
    assert described.startswith("**Verdict** Version 5 is blocked")
    assert described.endswith(f"(cut; the report has all of it)\n\n{LINKS}\n\n{note}")
    assert described_with(long, described) == described
    assert max(map(len, tags_of(long).values())) <= 5000
    assert described_with(long, "y" * 4990) == "y" * 4990
