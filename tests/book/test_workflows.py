"""The workflows run the same commands as a reader, with pinned actions and no more rights than they need."""

import re

import yaml


def workflows(root):
    found = {
        path.name: yaml.safe_load(path.read_text()) for path in sorted((root / ".github" / "workflows").glob("*.yml"))
    }
    assert set(found) == {"test.yml", "pages.yml"}
    return found


def test_actions_are_pinned_by_commit(root):
    for name, workflow in workflows(root).items():
        uses = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
        assert uses and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use) for use in uses), name


def test_rights_are_least(root):
    found = workflows(root)
    assert found["test.yml"]["permissions"] == {"contents": "read"}
    assert found["pages.yml"]["permissions"] == {}
    assert found["pages.yml"]["jobs"]["build"]["permissions"] == {"contents": "read"}
    assert found["pages.yml"]["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}


def test_the_commands_exist(root):
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    runs = [
        step["run"]
        for flow in workflows(root).values()
        for job in flow["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    runs.append((root / ".ci" / "run").read_text())
    assert {name for run in runs for name in re.findall(r"^make ([a-z]+)", run, re.MULTILINE)} <= targets
    assert {"book", "test", "execute", "train", "serve", "clean", "repository", "help"} <= targets
