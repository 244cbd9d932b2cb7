"""How categories were paired is said where a session's results are."""


def test_by_id_is_said_in_the_summary_with_what_it_left_out(project, said):
    project.write(
        more="from fakes import Finder\n\n\nclass More(Finder):\n    def find(self, image):\n"
        "        found = super().find(image)\n"
        "        return type(found)(found.boxes, found.scores, found.categories * 2)\n\n\nmake = More\n"
    )
    text = said(project.gate("more:make"))
    assert "crop robustness, categories paired by id" in text
    assert "60 of 180" not in text
    assert "120 of 180 detections on whole images have ids that the data set lacks (4, 6)" in text
    pairing = project.gates[0]["pairing"]
    assert {name: pairing[name] for name in ("by", "detections", "left_out", "lacking")} == {
        "by": "id",
        "detections": 180,
        "left_out": 120,
        "lacking": [4, 6],
    }
    assert not any(pairing[name] for name in ("folded", "merged", "groups"))
    assert "categories are paired by id" in (project.path / ".cropdet" / "report" / "index.html").read_text()


def test_by_name_is_said_in_the_summary(project, said):
    result = project.gate("fakes:perfect", "--cropdet-detector=labels=red,green,blue", "--cropdet-report=off")
    text = said(result)
    assert "crop robustness, categories paired by name" in text
    assert project.gates[0]["pairing"]["by"] == "name"


def test_names_with_commas_are_no_file_even_if_they_look_like_paths(project, said):
    result = project.gate("fakes:perfect", "--cropdet-detector=labels=red,green/lime,sky.blue", "--cropdet-report=off")
    assert "no such file" not in said(result)
    assert result.ret != 4
