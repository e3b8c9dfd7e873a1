"""The workflows run the same commands as a reader, with pinned actions and no more rights than they need."""

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from environments import ENVIRONMENTS

RIGHTS = {
    "test.yml": {"test": {"contents": "read"}, "notebooks": {"contents": "read"}},
    "pages.yml": {"build": {"contents": "read"}, "deploy": {"pages": "write", "id-token": "write"}},
    "weekly.yml": {"notebooks": {"contents": "read"}, "audit": {"contents": "read"}, "report": {"issues": "write"}},
}


@pytest.fixture(scope="module")
def workflows(root):
    return {path.name: yaml.safe_load(path.read_text()) for path in (root / ".github" / "workflows").glob("*.yml")}


@pytest.fixture(scope="module")
def jobs(workflows):
    return [job for workflow in workflows.values() for job in workflow["jobs"].values()]


@pytest.fixture(scope="module")
def targets(root):
    return set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))


def commands(jobs):
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_actions_are_pinned_by_commit_and_say_their_version(root, workflows):
    for name in workflows:
        uses = re.findall(r"uses: (.*)", (root / ".github" / "workflows" / name).read_text())
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), name


def test_an_action_has_one_pin(root, workflows):
    uses = {
        step["uses"]
        for workflow in workflows.values()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    }
    assert uses and len({use.split("@")[0] for use in uses}) == len(uses)


def test_rights_are_least(workflows):
    """Nothing for a workflow as a whole, and for each job what it cannot do without."""
    assert all(workflow["permissions"] == {} for workflow in workflows.values())
    found = {
        name: {job: content["permissions"] for job, content in workflow["jobs"].items()}
        for name, workflow in workflows.items()
    }
    assert found == RIGHTS


def test_no_credentials_stay_and_no_job_runs_for_ever(jobs):
    for job in jobs:
        assert 0 < job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_a_checker_of_workflows_finds_nothing(root):
    """zizmor knows the usual holes, and the grammar of workflows; offline it asks GitHub nothing."""
    program = Path(sysconfig.get_path("scripts"), "zizmor")
    done = subprocess.run(
        [program, "--offline", "--strict-collection", "--persona", "auditor", root / ".github"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_outside_text_is_pasted_into_a_command(jobs):
    """An expression in a command is text that the shell would read as commands: it goes through a variable instead."""
    assert not [run for run in commands(jobs) if "${{" in run]


def test_the_commands_exist(root, jobs, targets):
    runs = [*commands(jobs), (root / ".ci" / "run").read_text()]
    called = {name for run in runs for names in re.findall(r"\bmake((?: [a-z]+)+)", run) for name in names.split()}
    assert {"matrix", "audit", "book", "offline", "pdf", "test"} <= called <= targets
    assert {"execute", "train", "serve", "clean", "repository", "help", "colab"} <= targets


def test_the_environments_exist_and_each_is_tried_somewhere(workflows):
    pythons = workflows["test.yml"]["jobs"]["notebooks"]["strategy"]["matrix"]["python"]
    weekly = workflows["weekly.yml"]["jobs"]["notebooks"]["strategy"]["matrix"]["environment"]
    assert {*weekly, *(f"pinned-{python}" for python in pythons)} == set(ENVIRONMENTS)


def test_the_weekly_run_reports_every_job(workflows):
    found = workflows["weekly.yml"]["jobs"]
    assert {*found["report"]["needs"], "report"} == set(found)


def test_pre_commit_has_the_ruff_of_the_tests(root):
    pinned = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format"]
    assert all(
        hook["additional_dependencies"] == [entry for entry in pinned if entry.startswith("ruff==")] for hook in hooks
    )
