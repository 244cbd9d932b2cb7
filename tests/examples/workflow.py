"""Runs the jobs of a GitHub workflow on this machine: each `run` by its shell, and stand-ins for the known actions.

What is not known here (an action, an expression, a key of a step) fails the test: nothing is passed over but the steps
that the file itself marks as "runner only".
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.examples.conftest import Repository

STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env"}
JOB_KEYS = {"runs-on", "timeout-minutes", "steps", "if", "permissions"}
CONTEXTS = {
    "github.event.action",
    "github.event.label.name",
    "github.event.pull_request.head.repo.full_name",
    "github.event.pull_request.head.sha",
    "github.head_ref",
    "github.repository",
    "github.token",
    "secrets.BASELINE_TOKEN",
    "steps.detections.outputs.cache-hit",
}
TOKENS = re.compile(r"\s*('[^']*'|[\w.-]+(?=\()|[\w.-]+|&&|\|\||==|!=|!|[(),])")
OPERATORS = {"&&": " and ", "||": " or ", "!": " not "}
STATUS = re.compile(r"\b(always|cancelled|failure|success)\(")
SHELLS = {"bash": ("--noprofile", "--norc", "-eo", "pipefail"), None: ("-e",)}


def runner_only(text: str) -> set[str]:
    """The steps that the comments of a file mark as "runner only"."""
    return set(re.findall(r"- name: (.+?) # runner only$", text, re.MULTILINE))


class Runner:
    """A machine that runs jobs in turn; the remote repository, caches and artefacts outlive a job."""

    def __init__(self, file: Path, folder: Path, origin: Path) -> None:
        text = file.read_text(encoding="utf-8")
        self.workflow = yaml.safe_load(text)
        self.left_out = runner_only(text)
        self.folder = folder
        self.origin = origin
        self.caches: dict[str, Path] = {}
        self.jobs = 0

    def job(self, name: str, event: dict[str, object], head: str, *only: str) -> Job | None:
        """Run a job, or some steps of it, for an event at a commit; ``None`` where its condition says no."""
        self.jobs += 1
        job = self.workflow["jobs"][name]
        assert set(job) <= JOB_KEYS, f"no test knows {set(job) - JOB_KEYS}"
        workspace = self.folder / f"job{self.jobs}" / "workspace"
        done = Job(self, workspace, {**event, "github.token": "a token"}, head)
        if not done.value(job.get("if", "${{ success() }}")):
            return None
        for step in job["steps"]:
            if not only or step["name"] in only:
                done.step(step)
        return done


class Job:
    """A job while it runs, and what is left of it."""

    def __init__(self, runner: Runner, workspace: Path, contexts: dict[str, object], head: str) -> None:
        self.runner = runner
        self.contexts = contexts
        self.head = head
        self.outcomes: dict[str, str] = {}
        self.log = ""
        self.artefacts: dict[str, Path] = {}
        workspace.parent.mkdir(parents=True)
        self.summary_file = workspace.parent / "summary.md"
        more = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(self.summary_file)}
        self.copy = Repository(workspace, **more)

    @property
    def failed(self) -> bool:
        return "failure" in self.outcomes.values()

    @property
    def summary(self) -> str:
        return self.summary_file.read_text(encoding="utf-8")

    def step(self, step: dict[str, object]) -> None:
        assert set(step) <= STEP_KEYS, f"no test knows {set(step) - STEP_KEYS}"
        name = str(step["name"])
        condition = str(step.get("if", "success()"))
        condition = condition if STATUS.search(condition) else f"success() && ({condition})"
        if name in self.runner.left_out:
            self.outcomes[name] = "runner only"
        elif not self.value(condition):
            self.outcomes[name] = "skipped"
        elif "uses" in step:
            given = {key: self.text(value) for key, value in dict(step.get("with", {})).items()}
            hit = self.action(str(step["uses"]), given)
            self.contexts |= {f"steps.{step['id']}.outputs.cache-hit": hit} if "id" in step else {}
            self.outcomes[name] = "success"
        else:
            self.outcomes[name] = self.run(str(step["run"]), dict(step.get("env", {})))

    def run(self, text: str, env: dict[str, str]) -> str:
        assert "${{" not in text, "a title or branch that somebody chose must not become part of a script"
        shell = self.runner.workflow.get("defaults", {}).get("run", {}).get("shell")
        done = self.copy.shell(text, *SHELLS[shell], **{key: self.text(value) for key, value in env.items()})
        self.log += done.stdout + done.stderr
        return "failure" if done.returncode else "success"

    def action(self, name: str, given: dict[str, str]) -> str:
        """Do what an action does, and return its output `cache-hit`."""
        here = self.copy.path
        if name == "actions/checkout@v4":
            assert set(given) <= {"ref", "lfs", "token"}
            here.mkdir()
            self.copy.git("clone", "--quiet", "--no-checkout", str(self.runner.origin), ".")
            self.copy.git("checkout", "--quiet", "--detach", given.get("ref", self.head))
        elif name == "actions/setup-python@v5":
            assert set(given) == {"python-version"}
        elif name == "actions/cache/restore@v4":
            assert set(given) == {"path", "key", "restore-keys"}
            keys = [given["key"]] if given["key"] in self.runner.caches else []
            keys += [key for key in reversed(self.runner.caches) if key.startswith(given["restore-keys"])]
            if keys:
                shutil.copytree(self.runner.caches[keys[0]], here / given["path"])
            return "true" if keys[:1] == [given["key"]] else "false"
        elif name == "actions/cache/save@v4":
            assert set(given) == {"path", "key"}
            assert given["key"] not in self.runner.caches, "a cache is never overwritten"
            self.runner.caches[given["key"]] = self.keep(here / given["path"])
        elif name == "actions/upload-artifact@v4":
            assert set(given) == {"name", "path"}
            self.artefacts[given["name"]] = self.keep(here / given["path"])
        else:
            pytest.fail(f"no test knows the action {name}")
        return ""

    def keep(self, path: Path) -> Path:
        target = self.copy.path.parent / "kept" / path.name
        return Path(shutil.copytree(path, target))

    def text(self, value: object) -> str:
        """A value whose expressions are replaced by what they come to."""
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self.value(found[1])), str(value))

    def value(self, expression: str) -> object:
        """What an expression comes to, with or without `${{ }}`."""
        inner = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", expression.strip(), flags=re.DOTALL).strip()
        place, python = 0, ""
        while place < len(inner):
            token = TOKENS.match(inner, place)
            assert token, f"cannot read {inner[place:]!r}"
            python += self.python(token[1], inner[token.end() : token.end() + 1])
            place = token.end()
        functions = {
            "always": lambda: True,
            "cancelled": lambda: False,
            "failure": lambda: self.failed,
            "success": lambda: not self.failed,
            "hashFiles": self.hash_of_files,
        }
        return eval(python, {"__builtins__": {}}, functions)

    def python(self, token: str, following: str) -> str:
        if following == "(" or token[0] == "'" or token in ("==", "!=", "(", ")", ","):
            return token if token != "!" else " not "
        if token in OPERATORS:
            return OPERATORS[token]
        assert token in CONTEXTS, f"no test knows {token}"
        return repr(self.contexts.get(token, ""))

    def hash_of_files(self, *patterns: str) -> str:
        files = sorted({path for pattern in patterns for path in self.copy.path.glob(f"{pattern}/*") if path.is_file()})
        assert files, f"hashFiles({patterns}) matches nothing"
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
