"""From values to HTML: the templates, and a page that runs no script but its own and asks nobody for anything."""

import base64
import hashlib
from importlib import resources
from typing import Any

from pytest_cropdet.errors import CropdetError

__all__ = ["render_page"]

SCRIPTS = ("script.js", "decision.js", "crop_table.js", "crop_dialog.js")
STYLES = ("style.css", "decision.css", "crops.css")


def render_page(template: str, **values: Any) -> str:
    """Return a page from one of the templates; ``CropdetError`` if Jinja2 is missing."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise CropdetError(f"the HTML report needs Jinja2 ({error}): pip install 'pytest-cropdet[report]'") from error
    environment = Environment(
        loader=PackageLoader("pytest_cropdet.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    images = "data: 'self' file:" if values.get("beside") else "data:"
    script, style = ("".join(map(_file, names)) for names in (SCRIPTS, STYLES))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src {images}; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return environment.get_template(template).render(script=script, style=style, policy=policy, **values)


def _file(name: str) -> str:
    return (
        resources.files("pytest_cropdet.report.html").joinpath("templates").joinpath(name).read_text(encoding="utf-8")
    )
