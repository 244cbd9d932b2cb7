"""A detector behind HTTP from the command line: gated, described, and named in one line where its server is down."""

from __future__ import annotations

import socket

import pytest

from pytest_cropdet.detectors.adapters import http_service
from tests.detectors.serving import Served, serve

pytest.importorskip("httpx")
pytest.importorskip("stamina")

LIMIT = "--cropdet-max-drop=0.9"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(http_service, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(http_service, "LONGEST_WAIT", 0.0)


@pytest.fixture(scope="module")
def served():
    with serve(Served()) as one:
        yield one


def test_one_model_behind_both_protocols_is_gated_as_two(project, served):
    result = project.gate(
        f"tfserving:{served.url}/v1/models/ssd",
        f"--cropdet-model=open=kserve:{served.url}/v2/models/ssd",
        "--cropdet-detector=open:batch=2",
        "--cropdet-detector=labels=red,green,blue",
        LIMIT,
    )
    first, second = project.gates
    assert result.ret == 0
    assert [first["name"], second["name"]] == ["ssd-random", "open-random"]
    assert first["ap"] == second["ap"]
    assert first["ap"]["reference"] > 0.9
    assert [each["detector"]["batch"] for each in (first, second)] == [8, 2]
    assert first["detector"]["version"] == "3"


def test_a_server_that_is_down_is_one_failure_with_its_url_and_no_traceback(project, said, without_tracebacks):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1/models/ssd"
    result = project.gate(f"tfserving:{url}", LIMIT)
    assert result.ret == 1
    assert f"GET {url}: no answer (ConnectError" in said(result)
    assert "is the server up?" in said(result)
    assert without_tracebacks(result)


@pytest.mark.parametrize(
    "spec", ["tfserving:ssd", "kserve:http://127.0.0.1:8000", "http://127.0.0.1:8501/v1/models/ssd"]
)
def test_a_url_that_names_no_model_ends_the_session_before_it_starts(project, spec):
    result = project.gate(spec, LIMIT)
    assert result.ret == 4
    assert "write tfserving:http" in result.stderr.str() or "write kserve:http" in result.stderr.str()
