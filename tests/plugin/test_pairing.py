"""How categories were paired is said when a run begins, and where its results are."""


def test_by_id_is_said_before_the_run_and_in_the_summary(project, said):
    result = project.gate("fakes:perfect")
    text = said(result)
    assert "cropdet: fakes:perfect gives no names, so categories are paired by id" in text
    assert text.count("gives no names, so") == 1
    assert "categories are paired by id, because the detector gives no names; the data set" in text
    assert project.gates[0]["pairing"] == {"by": "id", "detections": 180, "left_out": 0, "lacking": []}
    assert "categories are paired by id" in (project.path / ".cropdet" / "report" / "index.html").read_text()


def test_by_name_is_said_in_the_summary_alone(project, said):
    result = project.gate("fakes:perfect", "--cropdet-detector=labels=red,green,blue", "--cropdet-report=off")
    text = said(result)
    assert "gives no names" not in text
    assert "categories are paired by name" in text
    assert project.gates[0]["pairing"]["by"] == "name"
