"""On the controller: the results of all tests, wherever they ran. They travel as properties of the tests' reports."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cropdet.plugin.rootdir_check import base_folder
from pytest_cropdet.plugin.stash import Findings, session_token
from pytest_cropdet.terms import BENCHMARK, CHECK, DRY_RUN, RANKING, RECORD, TROUBLE, one_line

if TYPE_CHECKING:
    from pytest_cropdet.plugin.reports import WrittenReports

__all__ = ["Ledger"]


class Ledger:
    """Takes the results of tests off the reports, and writes them down at the end of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.taken = Findings()
        self.dry_runs: dict[str, str] = {}
        self.written: WrittenReports | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["cropdet_session"] = self.config.stash.setdefault(session_token, token_hex(6))
        node.workerinput["cropdet_base"] = str(base_folder(self.config))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.taken.begun.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        taken = self.taken
        for records, kind in (
            (taken.gates, RECORD),
            (taken.benchmarks, BENCHMARK),
            (taken.checks, CHECK),
            (taken.ranked, RANKING),
        ):
            if report.when == "setup":  # what an earlier try of the test had left
                for key in [key for key in records if key[0] == report.nodeid]:
                    del records[key]
            for text in _take(report, kind):
                place, record = json.loads(text)
                records[record["test"], place] = record
        taken.trouble += [text for text in map(json.loads, _take(report, TROUBLE)) if text not in taken.trouble]
        self.dry_runs.update((report.nodeid, str(value)) for name, value in report.user_properties if name == DRY_RUN)
        if report.when != "teardown" and (report.when != "setup" or not report.passed):
            taken.ended[report.nodeid] = _first_line(report) if report.failed else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        from pytest_cropdet.plugin.configuration import in_use

        if self.taken or in_use(self.config):
            from pytest_cropdet.plugin.history import write_history
            from pytest_cropdet.plugin.rankings import rankings_of
            from pytest_cropdet.plugin.reports import write_reports
            from pytest_cropdet.plugin.run_records import (
                unread_plan,
                unread_policies,
                unread_tolerances,
                write_results,
            )

            self.taken.rankings = rankings_of(self.taken.ranked)
            told = (unread_plan, unread_policies, unread_tolerances, write_results)
            trouble = [each(self.config, self.taken) for each in told]
            self.written = write_reports(self.config, self.taken)
            notes, failed = write_history(self.config, [gate for _, gate in sorted(self.taken.gates.items())])
            self.written.notes += notes
            trouble += failed
            self.taken.trouble += [*filter(None, trouble), *self.written.trouble]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        taken = self.taken
        if self.written is not None and (taken or self.written.page):
            from pytest_cropdet.report import (
                checks_summary,
                ranking_summary,
                sliced_summary,
                sorted_checks,
                write_summary,
            )

            checks, gates = sorted_checks(taken.checks.values()), [*taken.gates.values()]
            checks_summary(terminalreporter, checks)
            write_summary(terminalreporter, gates, self.written.unfinished, self.written.page, checks)
            ranking_summary(terminalreporter, taken.rankings)
            sliced_summary(terminalreporter, checks)
            for text in self.written.notes:
                terminalreporter.write_line(text)
        if taken.benchmarks:
            from pytest_cropdet.report import benchmark_summary

            benchmark_summary(terminalreporter, list(taken.benchmarks.values()))
        if self.dry_runs:
            terminalreporter.section("crop robustness, dry run")
            terminalreporter.write_line("\n".join(self.dry_runs.values()))
        for text in taken.trouble:
            terminalreporter.write_line(f"cropdet: {one_line(text)}", yellow=True)


def _take(report: pytest.TestReport, kind: str) -> list[str]:
    """Take the properties of a kind off a report, so that nobody else shows them."""
    found = [str(value) for name, value in report.user_properties if name == kind]
    if found:
        report.user_properties = [pair for pair in report.user_properties if pair[0] != kind]
    return found


def _first_line(report: pytest.TestReport) -> str:
    """Return the first line of what a failed test says."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", report.longrepr) or "failed").strip()
    return text.splitlines()[0] if text else "failed"
