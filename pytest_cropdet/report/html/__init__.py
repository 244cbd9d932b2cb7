"""The page that shows what broke: one file, made from the records of gates and the pictures that runs left."""

from pytest_cropdet.report.html.page import html_page
from pytest_cropdet.report.records import MissingResult

__all__ = ["MissingResult", "html_page"]
