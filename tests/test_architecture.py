"""The house: what holds between files that no single file can say."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import layout
from tasks.params.whole import Params

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def _outputs(stage: dict[str, Any]) -> list[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_a_module_of_its_name_and_reads_sections_that_exist(name: str) -> None:
    assert STAGES[name]["cmd"] == f"exec python -m tasks.{name}"
    module = ROOT / "tasks" / name
    assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
    sections = {field.alias or key for key, field in Params.model_fields.items()}
    assert {key.split(".")[0] for key in STAGES[name].get("params", [])} <= sections


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_writes_only_into_the_folder_of_its_name(name: str) -> None:
    assert all(output.startswith(f"results/{name}/") for output in _outputs(STAGES[name]))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_goes_into_the_run_cache(name: str) -> None:
    # DVC leaves a stage out of it when an output that is neither metric nor plot is kept by Git.
    kept_by_git = [entry for entry in STAGES[name].get("outs", []) if isinstance(entry, dict)]
    assert kept_by_git == []


@pytest.mark.parametrize("name", STAGES)
def test_git_keeps_the_outputs_that_dvc_does_not(name: str) -> None:
    # One that both kept would make a new commit of every round.
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in STAGES[name].get(kind, [])]
    by_git = {key for entry in entries if isinstance(entry, dict) for key, how in entry.items() if "cache" in how}
    outputs = _outputs(STAGES[name])
    ignored = subprocess.run(["git", "check-ignore", *outputs], cwd=ROOT, capture_output=True, text=True, check=False)
    assert set(ignored.stdout.split()) == set(outputs) - by_git


def test_layout_and_dvc_yaml_name_the_same_files() -> None:
    outputs = {Path(output) for stage in STAGES.values() for output in _outputs(stage)}
    named = {value for value in vars(layout).values() if isinstance(value, Path)}
    results = {path for path in named if path.is_relative_to(layout.RESULTS)} - {layout.RESULTS, layout.SEARCH}
    missing = {path for path in results if not any(path == out or path.is_relative_to(out) for out in outputs)}
    assert not missing


def test_every_dependency_of_a_stage_exists_or_is_made() -> None:
    made = {Path(output) for stage in STAGES.values() for output in _outputs(stage)} | {layout.DATA}
    for name, stage in STAGES.items():
        for dependency in map(Path, stage["deps"]):
            known = any(dependency == out or dependency in out.parents or out in dependency.parents for out in made)
            assert known or (ROOT / dependency).exists(), f"{name}: {dependency}"


def test_the_lock_pins_every_declared_dependency() -> None:
    import re
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def pins(file: str) -> dict[str, str]:
        lines = (line for line in (ROOT / file).read_text().splitlines() if "==" in line and not line.startswith("#"))
        pinned = (line.partition(";")[0].strip().split("==") for line in lines)  # without its marker
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned}

    runtime = pins("requirements.lock")
    everything = runtime | pins("requirements-test.lock")
    test_extra = project["optional-dependencies"]["test"]
    for declared, locked in (
        (project["dependencies"], runtime),
        (test_extra, everything),
    ):
        for requirement in map(Requirement, declared):
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            assert name in locked, f"{name} is declared but not locked: make lock"
            assert requirement.specifier.contains(locked[name]), f"{name} {locked[name]} is outside {requirement}"


def test_flows_only_depend_downwards() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("flows.cli", ("torch", "mlflow", "prefect", "great_expectations", "dvc")),
        ("flows.train", ("torch", "mlflow", "av", "scipy")),
        ("tasks.promote", ("torch", "mlflow", "pandas", "scipy")),
        ("tasks.register", ("torch", "mlflow", "pandas", "scipy.stats")),
    ],
)
def test_what_a_person_waits_for_starts_without_heavy_libraries(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
