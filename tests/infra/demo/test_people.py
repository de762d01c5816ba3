import numpy as np

from infra.demo.people import draw_colour, draw_person, figure
from infra.demo.skeleton import load_motions


def test_a_figure_wears_its_outfit_at_every_moment():
    person = draw_person(np.random.default_rng(0))
    capsules, root_T3 = figure(person, load_motions()["run"], np.linspace(0, 1, 5), heading=0.0)
    assert capsules.start_TN3.shape == capsules.end_TN3.shape == (5, len(capsules.radius_N2), 3)
    assert root_T3.shape == (5, 3)
    worn = {tuple(np.round(rgb, 4)) for rgb in capsules.rgb_N3.tolist()}
    assert worn == {tuple(np.round(np.float32(rgb).tolist(), 4)) for rgb in vars(person.outfit).values()}


def test_stout_people_have_the_same_head():
    rng = np.random.default_rng(3)
    people = sorted((draw_person(rng) for _ in range(8)), key=lambda person: person.proportions.girth)
    slim, stout = (figure(person, load_motions()["walk"], np.zeros(1), 0.0)[0].radius_N2 for person in people[::7])
    grown_N2 = stout / slim
    assert (grown_N2 > 1.01).any()
    assert (np.abs(grown_N2 - 1) < 1e-6).any()


def test_the_same_generator_draws_the_same_person():
    assert draw_person(np.random.default_rng(5)) == draw_person(np.random.default_rng(5))
    assert draw_person(np.random.default_rng(5)) != draw_person(np.random.default_rng(6))


def test_colours_are_as_bright_and_strong_as_asked():
    rng = np.random.default_rng(0)
    for _ in range(200):
        rgb = draw_colour(rng, value=(0.4, 0.6), saturation=(0.5, 0.7))
        assert 0.4 <= max(rgb) <= 0.6
        assert 0.29 <= min(rgb) / max(rgb) <= 0.51
