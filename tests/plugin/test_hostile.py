"""Names and texts from elsewhere: they write no command of a CI, turn no line round, and end no session."""

import json
import shutil

EVIL = "red\n::error::owned\u202e"
TESTS = """
def test_limits(cropdet):
    cropdet.run("random:keep=0.7-0.9,per_image=1", max_drop=0.9, by_category={%r: 0.01})

def test_fails_otherwise(cropdet):
    cropdet.run("random:keep=0.7-0.9,per_image=1", max_drop=0.9)
    raise OSError("no such file: caf\\ud800\\n::error::owned")
"""


def test_a_category_and_an_error_text_do_no_harm(project, monkeypatch):
    project.data = shutil.copytree(project.data, project.path / "data")
    content = json.loads((project.data / "shapes.json").read_text())
    content["categories"][0]["name"] = EVIL
    (project.data / "shapes.json").write_text(json.dumps(content))
    project.write(test_own=TESTS % EVIL)
    (project.path / "out.json").symlink_to("elsewhere.json")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    options = (f"--cropdet-data={project.data}", "--cropdet-model=fakes:make", "--cropdet-json=out.json")
    result = project.pytest("test_own.py", *options, "--cropdet-objects=objects.csv", "--junitxml=junit.xml")
    assert result.ret == 1
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert "INTERNALERROR" not in text + result.stderr.str()
    assert "\u202e" not in text
    assert not [line for line in text.splitlines() if line.strip().startswith("::error::")]
    commands = [line for line in text.splitlines() if line.startswith("::")]
    assert [line.partition("::FAIL")[0] for line in commands[:1]] == ["::error title=crop robustness%3A random"]
    assert "the test failed for another reason" in commands[1]
    assert "red\\n::error::owned\\u202e: crops lose" in text
    for name in ("summary.md", ".cropdet/report/index.html", "elsewhere.json", "objects.csv"):
        written = (project.path / name).read_text(encoding="utf-8")
        assert "\u202e" not in written or name == "objects.csv"
    assert (project.path / "out.json").is_symlink()
    failed = next(gate for gate in project.gates if gate["test"].endswith("test_fails_otherwise"))
    assert failed["test_error"] == "OSError: no such file: caf\\ud800"
    assert [name for _, name, properties in project.cases() if any("\n" in key for key in properties)] == []
