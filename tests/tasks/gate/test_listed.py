from tasks.gate.listed import fitting, listed


def test_a_list_says_how_many_it_leaves_out():
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2, "; ") == "a; b and 2 more"


def test_a_text_is_cut_only_where_it_must_be_and_says_so():
    assert fitting("x" * 100, 100) == "x" * 100
    cut = fitting("x" * 101, 100)
    assert len(cut) == 100
    assert cut.endswith("(cut; the report has all of it)")
    assert fitting("x" * 101, 10) == ""
