"""A model of painted rectangles, its pictures, and the console command run in this process."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pytest_cropdet.commands import main
from tests import painted_model


class Said(NamedTuple):
    """What the command returned and wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs the console command in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        code = main([str(each) for each in arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Writes a painted model with the conventions that are right, and others as they are named."""
    painted_model.register(monkeypatch)
    return lambda name="net.json", **secret: painted_model.write_model(tmp_path / name, **secret)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    return painted_model.write_pictures(tmp_path_factory.mktemp("pictures") / "shapes")
