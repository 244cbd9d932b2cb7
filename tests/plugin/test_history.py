"""A session's lines in the history: when and of which commit they are, and who writes them."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from pytest_cropdet.plugin.history import _git

pytestmark = pytest.mark.subprocess  # git is one

TIME = "--cropdet-history-time=2026-01-31T12:00:00Z"


def lines_of(project):
    return [json.loads(row) for row in (project.path / "history.jsonl").read_text().splitlines() if row]


def git(project, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(project.path), *who, *arguments], check=True, capture_output=True)


def commit_of(project):
    git(project, "init", "-q")
    git(project, "add", "fakes.py")
    git(project, "commit", "-q", "-m", "first")
    show = ["git", "-C", str(project.path), "log", "-1", "--format=%H"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()


def test_a_line_for_each_gate_is_appended_by_the_controller_alone(project, said, workers):
    earlier = json.dumps({"gate": "earlier"})
    (project.path / "history.jsonl").write_text(f"{earlier}\n")
    crops = ("--cropdet-crops=tile", "--cropdet-crops=edge")
    given = ("--cropdet-history=history.jsonl", TIME, "--cropdet-history-commit=v1.0")
    result = project.gate("fakes:perfect", *crops, *given, workers=workers)
    result.assert_outcomes(passed=2)
    assert "history.jsonl: 2 lines appended; pytest-cropdet trend draws it" in said(result)
    lines = lines_of(project)
    assert [each["gate"] for each in lines] == ["earlier", "edge", "tile"]  # whichever worker was first
    gate = next(each for each in project.gates if each["name"] == "tile")
    line = next(each for each in lines if each["gate"] == "tile")
    assert (line["time"], line["commit"], line["dirty"]) == ("2026-01-31T12:00:00+00:00", "v1.0", None)
    for key in ("drop", "verdict", "images", "crops", "plan", "seed", "test", "limit"):
        assert line[key] == gate[key]
    assert line["data"] == {"name": f"{project.data.name}/shapes.json", "digest": gate["data_digest"]}


def test_time_and_commit_are_those_of_git(project, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-02-03T04:05:06+02:00")
    commit = commit_of(project)
    project.gate("fakes:perfect", "--cropdet-history=history.jsonl").assert_outcomes(passed=1)
    git(project, "add", "history.jsonl")  # a history that is kept in the repository is no change of the code
    git(project, "commit", "-q", "-m", "second")
    with (project.path / "history.jsonl").open("a") as stream:
        stream.write("\n")
    project.gate("fakes:perfect", "--cropdet-history=history.jsonl", TIME).assert_outcomes(passed=1)
    project.write(fakes=(project.path / "fakes.py").read_text() + "\n")
    project.gate("fakes:perfect", "--cropdet-history=history.jsonl", TIME).assert_outcomes(passed=1)
    first, second, third = lines_of(project)
    assert (first["time"], first["commit"], first["dirty"]) == ("2026-02-03T04:05:06+02:00", commit, False)
    assert (second["dirty"], third["dirty"]) == (False, True)
    assert second["commit"] == third["commit"] != commit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cropdet-history=h.jsonl"], "--cropdet-history needs a time, and git gives no commit of"),
        (["--cropdet-history=h.jsonl", "--cropdet-history-time=yesterday"], "must be a time such as"),
        (["--cropdet-history=h.jsonl", "--cropdet-history-time=2026-01-31T12:00:00"], "has no time zone; write"),
        ([TIME], "--cropdet-history-time needs the file: --cropdet-history=FILE"),
        (["--cropdet-history=.", TIME], "is a folder; name a file"),
    ],
)
def test_what_nobody_knows_ends_the_session_before_a_test_runs(project, said, arguments, message, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.path.parent))
    result = project.gate("fakes:perfect", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in said(result)
    assert not (project.path / "h.jsonl").exists()


def test_the_wall_clock_is_taken_where_it_is_named(project):
    project.gate("fakes:perfect", "--cropdet-history=history.jsonl", "--cropdet-history-time=now")
    (line,) = lines_of(project)
    assert line["time"].endswith("+00:00")


def test_a_place_that_cannot_be_written_is_said_and_fails_nothing(project, said):
    (project.path / "full").write_text("")
    result = project.gate("fakes:perfect", "--cropdet-history=full/history.jsonl", TIME)
    result.assert_outcomes(passed=1)
    assert "history.jsonl could not be written" in said(result)


def test_git_is_asked_in_a_repository_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("GIT_DIR", raising=False)
    asked = []

    def noted(command, **_):
        asked.append(command)
        return SimpleNamespace(returncode=0, stdout=b"abc\n")

    monkeypatch.setattr("pytest_cropdet.plugin.history.subprocess.run", noted)
    (tmp_path / "below").mkdir()
    assert _git(tmp_path / "below", "rev-parse", "HEAD") is None
    assert not asked
    (tmp_path / ".git").write_text("gitdir: elsewhere")  # of a worktree it is a file
    assert _git(tmp_path / "below", "rev-parse", "HEAD") == "abc\n"
    assert asked == [["git", "-C", str(tmp_path / "below"), "rev-parse", "HEAD"]]
