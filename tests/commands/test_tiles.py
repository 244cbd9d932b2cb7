"""`pytest-cropdet tiles`: table, files, advice and exit codes."""

import json

import pytest

from pytest_cropdet.commands import main

ROOT_MODEL = "fixtures/models/ssd_nms.tflite"


@pytest.mark.tensorflow
def test_tiles_of_the_shipped_detector(capsys, tmp_path, monkeypatch, pytestconfig):
    pytest.importorskip("tensorflow", reason="needs a runtime for TFLite files")
    monkeypatch.chdir(pytestconfig.rootpath)
    command = ["tiles", ROOT_MODEL, "--data=fixtures/scenes", "--detector=range=0..255"]
    command += ["--detector=labels=fixtures/models/labels.txt", "--sizes=160", "--overlaps=0,0.3", "--merges=seam"]
    command += ["--sample-images=40", f"--cache={tmp_path / 'cache'}", f"--output={tmp_path / 'out'}"]
    code = main(command)
    out = capsys.readouterr().out
    assert code == 1  # the detector was trained on whole scenes, so tiles do not help it
    assert "size=160,overlap=0.3,merge=seam,iou=0.5" in out
    assert "advice: No tiling is surely better than one pass over the whole image" in out
    found = json.loads((tmp_path / "out" / "tiles.json").read_text(encoding="utf-8"))
    assert found["images"] == 40
    assert {each["name"] for each in found["cells"]} == {
        "size=160,overlap=0,merge=seam,iou=0.5",
        "size=160,overlap=0.3,merge=seam,iou=0.5",
    }
    assert (tmp_path / "out" / "tiles.png").stat().st_size > 10_000
    assert main(command) == code
    assert capsys.readouterr().out == out  # and from the cache the same


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--sizes=big"], "WIDTHxHEIGHT"),
        (["--overlaps=much"], "'much' is no number"),
        (["--overlaps=1"], "overlap must be a share from 0 to below 1"),
        (["--merges=max"], "unknown merge 'max'"),
        (["--sizes="], "no tiles to compare"),
        (["--sample-images=10"], "10 images are too few to choose tiles"),
    ],
)
def test_wrong_calls_are_named(more, words, capsys, monkeypatch, pytestconfig, tmp_path):
    monkeypatch.chdir(pytestconfig.rootpath)
    code = main(["tiles", ROOT_MODEL, "--data=fixtures/scenes", "--cache=off", f"--output={tmp_path}", *more])
    assert code == 2
    assert words in capsys.readouterr().err
