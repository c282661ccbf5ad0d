"""The key is the one that readers in the field compute."""

from livedata.domain.keys import opens, plot_key


def test_the_key_is_sha1_of_instrument_secret_and_run() -> None:
    # printf 'ARCSs3cret214583' | sha1sum
    assert plot_key("arcs", "214583", "s3cret") == "68357ac756758be0b418c8ce6a4c8b6eb4f363a4"


def test_the_case_of_the_instrument_is_free_and_zeros_of_the_run_are_kept() -> None:
    assert plot_key("ArCs", "7", "s") == plot_key("arcs", "7", "s")
    assert plot_key("arcs", "007", "s") != plot_key("arcs", "7", "s")


def test_only_the_right_key_opens() -> None:
    key = plot_key("arcs", "7", "s")
    assert opens(key, "arcs", "7", "s")
    assert not opens(key, "arcs", "8", "s")
    assert not opens(f"Bearer {key}", "arcs", "7", "s")
    assert not opens("\udcff\u00e9", "arcs", "7", "s")


def test_without_a_secret_nothing_opens() -> None:
    assert not opens(plot_key("arcs", "7", ""), "arcs", "7", "")
