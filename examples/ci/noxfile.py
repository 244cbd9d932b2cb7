"""The crop gate with nox: `nox -s crops`; `nox -s crops-baseline` accepts the model as the one to compare with."""

import nox

GATE = ("python", "-m", "pytest", "--pyargs", "pytest_cropdet.suite")
PACKAGE = "pytest-cropdet[report,tflite]"


@nox.session
def crops(session):
    """New model against the baseline, on crops."""
    session.install(PACKAGE)
    session.run(*GATE, "--junitxml=crop-results/junit.xml", *session.posargs)


@nox.session(name="crops-baseline", default=False)
def crops_baseline(session):
    """Write the baseline with this model."""
    session.install(PACKAGE)
    session.run(*GATE, "--cropdet-update-baseline", *session.posargs)
