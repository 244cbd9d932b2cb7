"""The page and what else is written at the end of a session, whatever happens to it."""

import json

import pytest

jinja2 = pytest.importorskip("jinja2", reason="needs Jinja2")
QUICK = "--cropdet-explain=off"


def page_of(project, place=".cropdet/report/index.html"):
    return (project.path / place).read_text(encoding="utf-8")


def left_over(project):
    """Parts that nobody took away."""
    return [path for path in project.path.rglob("*") if "parts" in path.parts]


def test_a_gate_leaves_a_page_and_says_where_plain_and_on_workers(project, workers, said):
    result = project.gate("fakes:make", "--cropdet-model=fakes:perfect", QUICK, workers=workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["  report: .cropdet/report/index.html", "*crop robustness*", "*", "report: .cropdet/report/index.html"]
    )
    html = page_of(project)
    assert "FAIL: 2 gates: 1 fails, 1 passes</title>" in html
    assert html.index("make-random</bdi></h2>") < html.index("perfect-random</bdi></h2>")
    assert "data:image/jpeg;base64," in html
    assert " --pyargs pytest_cropdet.suite " in html
    assert left_over(project) == []
    assert (project.path / ".cropdet" / ".gitignore").read_text().endswith("*\n")


def test_off_writes_none_and_says_nothing_of_it(project, said):
    result = project.gate("fakes:make", "--cropdet-report=off", QUICK)
    assert "report:" not in said(result)
    assert not (project.path / ".cropdet").exists()


def test_another_folder_from_the_ini_file_is_taken(project):
    project.write(pytest_ini="[pytest]\ncropdet_report = public/crops\n")
    result = project.gate("fakes:perfect")
    result.stdout.fnmatch_lines(["report: public/crops/index.html"])
    assert "The gate passes" in page_of(project, "public/crops/index.html")


@pytest.mark.parametrize("place", ["command line", "ini file"])
def test_a_folder_with_a_slash_gets_pictures_of_all_changed_crops_beside_the_page(project, workers, place):
    old = project.path / "public" / "pictures" / "0123456789ab"
    old.mkdir(parents=True)
    (old / "crop-1.jpg").write_text("of an earlier run")
    (old.parent / "mine.txt").write_text("of the user")
    given = ["--cropdet-report=public/"] if place == "command line" else []
    if not given:
        project.write(pytest_ini="[pytest]\ncropdet_report = public/\n")
    project.gate("fakes:make", *given, QUICK, workers=workers)
    html = page_of(project, "public/index.html")
    data = json.loads(html.partition('id="crops-data">')[2].partition("</script>")[0])
    (gate,) = data["gates"]
    assert gate["pictures"]["done"] == sorted(gate["place"]) != []
    folder = project.path / "public" / gate["pictures"]["base"]
    names = {path.name for path in folder.iterdir()}
    assert names == {f"crop-{at}.jpg" for at in gate["place"]} | {f"image-{file}.jpg" for file in gate["file"]}
    assert not old.exists()
    assert sorted(path.name for path in old.parent.iterdir()) == sorted(["mine.txt", folder.name])
    assert "img-src data: &#39;self&#39; file:" in html


def test_without_the_slash_the_page_is_one_file(project):
    project.gate("fakes:make", "--cropdet-report=public", QUICK)
    assert [path.name for path in (project.path / "public").iterdir()] == ["index.html"]
    assert "img-src data:;" in page_of(project, "public/index.html")


def test_a_folder_outside_is_named_whole(project, tmp_path):
    result = project.gate("fakes:perfect", f"--cropdet-report={tmp_path / 'r'}")
    assert f"report: {tmp_path / 'r' / 'index.html'}" in "".join(result.outlines)


def test_a_place_that_cannot_be_written_costs_one_line_and_no_failure(project, said):
    (project.path / "blocked").write_text("")
    result = project.gate("fakes:perfect", "--cropdet-report=blocked/report", "-W", "error")
    assert result.ret == 0
    assert said(result).count("could not be written") == 1
    assert "INTERNALERROR" not in said(result)


@pytest.mark.subprocess
def test_without_jinja_one_line_names_what_installs_it_and_the_failure_promises_nothing(project, said):
    project.write(conftest=HIDDEN)
    result = project.gate("fakes:make", QUICK)
    assert result.ret == 1
    assert said(result).count("pip install 'pytest-cropdet[report]'") == 1
    assert "report: .cropdet" not in said(result)


HIDDEN = """
import sys

sys.modules["jinja2"] = None  # which is how an import learns that there is none
"""


@pytest.mark.subprocess
def test_a_worker_that_dies_leaves_what_was_finished_and_the_page_says_what_was_not(project):
    result = project.gate("fakes:make", "--cropdet-model=fakes:dying", QUICK, workers=2)
    assert result.ret == 1
    html = page_of(project)
    assert "The gate fails, 1 without result" in html
    assert "test_map_drop[dying-random]</code> worker " in html
    assert "data:image/jpeg;base64," in html
    assert left_over(project) == []


@pytest.mark.subprocess
def test_after_ctrl_c_the_page_shows_what_was_finished_and_says_what_was_not(project):
    models = ("--cropdet-model=fakes:interrupted", "--cropdet-model=fakes:make")
    result = project.gate("fakes:perfect", *models, QUICK)
    assert result.ret == 2
    html = page_of(project)
    assert "The gate passes, 2 without result" in html
    assert "[interrupted-random]</code> was stopped before it came to an end" in html
    assert "[make-random]</code> did not run" in html
    result.stdout.fnmatch_lines(["no result*interrupted-random*", "report: .cropdet/report/index.html"])


def test_a_detector_that_cannot_be_loaded_is_named_on_the_page_of_the_others(project):
    project.gate("fakes:perfect", "--cropdet-model=fakes:cannot_load")
    assert "[cannot_load-random]</code> Failed: the graph has no signature" in page_of(project).replace("&#39;", "'")


def test_a_dry_run_and_a_session_without_gates_leave_nothing(project):
    project.gate("fakes:make", "--cropdet-dry-run")
    project.write(test_plain="def test_plain():\n    pass\n")
    project.pytest("test_plain.py")
    assert not (project.path / ".cropdet").exists()


def test_runs_of_a_users_own_test_are_told_apart_and_the_last_verdict_counts(project):
    project.write(
        test_own=f"""
def test_two(cropdet):
    first = cropdet.run("{WINDOWS}", max_drop=None)
    second = cropdet.run("random:keep=0.95,per_image=1", max_drop=None)
    assert second.drop <= 0.9
    assert first.drop <= 0.01
"""
    )
    options = (f"--cropdet-data={project.data}", "--cropdet-model=fakes:make", "--cropdet-json=out.json")
    project.pytest("test_own.py", *options, QUICK)
    html = page_of(project)
    verdicts = [gate["verdict"] for gate in project.gates]
    assert verdicts[0] == "fail"
    assert html.count('class="gallery only-lost"') == 2
    assert [gate["test"] for gate in project.gates] == ["test_own.py::test_two"] * 2


@pytest.mark.subprocess
def test_fixtures_of_ones_own_without_any_option_leave_a_page_with_pictures_on_workers(project):
    project.write(
        conftest=f"""
import pathlib, pytest
import fakes
from pytest_cropdet import load_dataset

@pytest.fixture(scope="session")
def cropdet_detector():
    return fakes.perfect()

@pytest.fixture(scope="session")
def cropdet_dataset():
    return load_dataset(pathlib.Path({str(project.data)!r}))
""",
        test_own=f"""
def test_one(cropdet):
    assert cropdet.run("{WINDOWS}", explain="off").drop <= 0.05
""",
    )
    assert project.pytest("test_own.py", workers=2).ret == 0
    assert 'class="gallery only-lost"' in page_of(project)
    assert left_over(project) == []


WINDOWS = "random:keep=0.7-0.9,per_image=1"


def test_objects_and_detections_are_written_where_they_were_asked_for(project, workers):
    asked = ("--cropdet-objects=out/objects.csv", "--cropdet-detections=out/detections", "--cropdet-report=off")
    project.gate("fakes:make", "--cropdet-model=fakes:perfect", *asked, QUICK, workers=workers)
    rows = (project.path / "out" / "objects.csv").read_text().splitlines()
    assert rows[0].startswith("gate,image,object,category,")
    objects = {gate["name"]: gate["objects"] for gate in project.gates}
    scored = [row.split(",")[0] for row in rows[1:] if row.split(",")[9] == "true"]
    assert {name: scored.count(name) for name in objects} == objects
    folder = project.path / "out" / "detections"
    assert {path.name for path in folder.iterdir()} == {"make-random", "perfect-random"}
    images = json.loads((folder / "make-random" / "truth.json").read_text())["images"]
    assert len(images) == 60
    assert left_over(project) == []


@pytest.mark.parametrize(
    "wrong", ["--cropdet-objects=o.xlsx", "--cropdet-detections=fakes.py", "--cropdet-report=fakes.py"]
)
def test_what_options_say_wrong_is_a_usage_error(project, wrong):
    assert project.gate("fakes:perfect", wrong).ret == 4


def test_junit_has_flat_properties_of_bounds_limit_and_steps(project):
    project.gate("fakes:make", "--junitxml=junit.xml")
    (gate,) = project.gates
    ((_, _, found),) = project.cases()
    assert float(found["cropdet.random.drop.low"]) == gate["drop"]["low"]
    assert float(found["cropdet.random.drop.high"]) == gate["drop"]["high"]
    assert float(found["cropdet.random.limit"]) == gate["limit"] == 0.05
    steps = {step["name"]: step["value"] for step in gate["steps"]}
    assert {name: float(found[f"cropdet.random.step.{name}"]) for name in steps} == steps


@pytest.mark.subprocess
def test_github_gets_one_summary_and_an_annotation_for_what_failed(project, monkeypatch):
    target = project.path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = project.gate("fakes:make", "--cropdet-model=fakes:perfect", QUICK, workers=2)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.count("## Crop robustness") == 1
    tables = [part for part in text.split("\n\n") if part.startswith("| ")]
    assert [table.count("\n") for table in tables] == [3, 3]  # gates and ranking: head, line, and a row for each model
    lines = [line for line in result.outlines if line.startswith("::")]
    assert len(lines) == 1
    assert lines[0].startswith("::error title=crop robustness%3A make-random::FAIL drop 0.")


@pytest.mark.subprocess
def test_no_colour_is_written_where_no_color_says_so_and_only_ascii_where_that_is_all(project, monkeypatch):
    monkeypatch.delenv("PY_COLORS", raising=False)  # which pytester sets
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31mFAIL" in project.gate("fakes:make", QUICK).stdout.str()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    result = project.gate("fakes:make")
    assert "\x1b[" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*position * 0.* ##*"])
    assert "INTERNALERROR" not in result.stdout.str()
