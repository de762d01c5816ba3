"""The page shows what was found, is one file, and hostile names are inert on it."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.registry.client import registry
from tasks.watch.findings import Figure, Frequency, Mix
from tasks.watch.page import publish, render
from tasks.watch.watch import watch
from tests.support.watched import FIRST_DAY, NAME, Clips, cameras, comes_in, watch_params

NOW = FIRST_DAY + timedelta(days=10)

pytestmark = pytest.mark.usefixtures("watched")


def test_it_shows_evidence_accuracy_clips_and_decisions():
    comes_in(Clips(cameras(40, 60), days=(8,), strange=True), wrong=True)
    watch(watch_params(), NOW - timedelta(days=1))
    found = watch(watch_params(), NOW)
    page = render(found, watch_params())
    assert page.count("<svg") == 2
    assert page.count("data:image/jpeg;base64,") == 2 * 3
    for said in (
        found.decision.why,
        "embeddings (MMD)",
        "0.0% (",
        "Accuracy measured on 80 clips",
        "Wait for the retr",
        "How classes are spread in the window cannot be estimated: The reference has no clips of class",
    ):
        assert said in page
    changed = Mix(changed=(Frequency(label="<i>fall", times=Figure(estimate=2.13, low=1.4, high=2.8)),))
    mixed = replace(found, findings=found.findings.model_copy(update={"mix": changed}))
    assert "estimated: &lt;i&gt;fall 2.1 x as often (1.4 to 2.8)." in render(mixed, watch_params())
    assert found.decision.evidence["mix"]["changed"] == []
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_a_watch_is_one_run_in_mlflow_however_often_it_is_shown():
    comes_in(Clips(cameras(40, 46), days=(8,)))
    found = watch(watch_params(), NOW)
    publish(found, watch_params())
    publish(found, watch_params())
    experiment = registry().get_experiment_by_name(NAME).experiment_id
    (run,) = registry().search_runs([experiment], f"tags.`videoloop.watch` = '{found.findings.key}'")
    assert run.data.metrics["limit"] == 200.0
    assert run.data.metrics["clips"] == 24
    assert run.data.tags["videoloop.action"] == "nothing"
    assert [entry.path for entry in registry().list_artifacts(run.info.run_id)] == ["watch.html"]


def test_a_watch_that_could_not_judge_has_a_page_too():
    found = watch(watch_params(), NOW)
    page = render(found, watch_params())
    assert "the window has no clips" in page
    assert "<svg" not in page


def test_hostile_names_are_inert():
    comes_in(
        Clips(cameras(40, 46), days=(8,), facts={"source_id": "<img src=x onerror=alert(1)> \u202etxt $\\frac{1}"})
    )
    page = render(watch(watch_params(), NOW), watch_params())
    assert "<img src=x" not in page
    assert "\u202e" not in page
