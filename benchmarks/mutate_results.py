"""Files that this package writes, for mutate_data.py: baselines, saved runs, histories, results, plans of windows."""

import io
import json
import random
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hypothesis import strategies as st
from mutate_formats import named

from pytest_cropdet import Crop, Run
from pytest_cropdet.commands.badge_command import BADGE
from pytest_cropdet.commands.command import Command, UsageMistake
from pytest_cropdet.commands.diff_command import DIFF
from pytest_cropdet.commands.trend_command import TREND
from pytest_cropdet.comparison import baseline_entry, read_baseline, record_of_entry, write_baseline
from pytest_cropdet.comparison.history_file import append_history, history_line
from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.crops.drawn_plan import Drawn, draw_plan
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.gate import match_record
from pytest_cropdet.report import write_json
from tests.support import loses_cut, made, opinions, same, small_run

WRITTEN = ("baseline", "saved run", "history", "results", "plan")
Change = Callable[[Any, random.Random], Any]
Bytes = Callable[[bytes, random.Random], bytes]
Done = tuple[str, Callable[[], None]]
WINDOWS = Drawn(st.just(Crop(5, 5, 60, 60)) | st.just(Crop(9, 3, 70, 50)), "around", 2)


class WrittenMutants:
    """A sound file of each kind; each call writes one with a mistake, and returns what reads it to its end."""

    def __init__(self, folder: Path, change: Change, mutated: Bytes) -> None:
        self.folder, self.change, self.mutated = folder, change, mutated
        folder.mkdir()
        self.data = made(images=12)
        seen = opinions(self.data)
        settings = {"replicates": 100, "min_images": 5, "min_objects": 5, "max_drop": 0.3}
        self.run = small_run(loses_cut(seen), self.data, explain="always", **settings).named("random")
        self.run.judge()
        old = small_run(same(seen), self.data, **settings)
        record = json.loads(json.dumps({**self.run.to_dict(), "test": "test_it"}))
        self.files = {
            "baseline": folder / "baseline.json",
            "saved run": folder / "saved.cropdet",
            "history": folder / "history.jsonl",
            "results": folder / "results.json",
        }
        write_baseline(self.files["baseline"], {"random": baseline_entry(match_record(old))})
        self.run.save(self.files["saved run"])
        days = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in range(1, 5)]
        lines = [history_line(record, day, f"c{day.day}" * 20, None, "1.0") for day in days]
        append_history(self.files["history"], lines)
        write_json(self.files["results"], [record])
        draw_plan(WINDOWS, self.data.samples, 0, folder)
        self.files["plan"] = next((folder / "plans").iterdir())
        self.sound = {name: path.read_bytes() for name, path in self.files.items()}
        self.good = folder / "good.json"
        self.good.write_bytes(self.sound["results"])
        self.readers = {name: getattr(self, f"_{name.replace(' ', '_')}") for name in WRITTEN}
        for name, read in self.readers.items():
            read(self.files[name], drawn=name == "history")

    def one(self, kind: str, dice: random.Random) -> Done:
        """Write a changed file of a kind; return what was done, and what reads it: an error has to name the file."""
        path, how = self.files[kind], dice.random()
        sound = self.sound[kind]
        if how < 0.4:
            content = self.mutated(sound, dice)
        elif kind == "saved run":
            content = self._archive(sound, dice)
        elif kind == "history":
            rows = sound.decode().splitlines()
            row = dice.randrange(len(rows))
            rows[row] = json.dumps(self._changed(json.loads(rows[row]), dice))
            content = "\n".join(rows).encode("utf-8", "surrogatepass")
        else:
            content = json.dumps(self._changed(json.loads(sound), dice)).encode()
        path.write_bytes(content)
        shown = content.hex()[:2000] if kind == "saved run" or how < 0.4 else content.decode("utf-8", "replace")[:2000]
        is_drawn = dice.random() < 0.05

        def read() -> None:
            named({path.name}, lambda: self.readers[kind](path, drawn=is_drawn))

        return f"{kind}: {shown}", read

    def _changed(self, content: Any, dice: random.Random) -> Any:
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            content = self.change(content, dice)
        return content

    def _archive(self, sound: bytes, dice: random.Random) -> bytes:
        """Change the tree or an array of a saved run, and give it the right checksum."""
        with zipfile.ZipFile(io.BytesIO(sound)) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        name = dice.choice([*parts, "run.json", "run.json"])
        if name == "run.json":
            parts[name] = json.dumps(self._changed(json.loads(parts[name]), dice)).encode()
        else:
            parts[name] = self.mutated(parts[name], dice)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as file:
            for each, data in parts.items():
                file.writestr(each, data)
        return content.getvalue()

    def _baseline(self, path: Path, drawn: bool) -> None:
        for gate, entry in read_baseline(path).items():
            old, name = record_of_entry(path, gate, entry), f"the baseline {path.name}"
            compare_runs(match_record(self.run), old, self.run.settings, name).to_dict()

    def _saved_run(self, path: Path, drawn: bool) -> None:
        Run.load(path)

    def _history(self, path: Path, drawn: bool) -> None:
        if drawn:
            self._command(TREND, str(path), "--output", str(self.folder / "drawn"), "--check")
            return
        from pytest_cropdet.comparison import find_trends, read_history
        from pytest_cropdet.report import trend_page

        lines, damaged = read_history(path)
        trends = find_trends(lines)
        trend_page(trends, damaged, path.name)
        for trend in trends:
            _ = trend.text, trend.is_larger_now

    def _results(self, path: Path, drawn: bool) -> None:
        self._command(DIFF, str(self.good), str(path), "--max-worse=0.1")
        self._command(DIFF, str(path), str(self.good))
        self._command(BADGE, str(path), "--output=-")

    def _plan(self, path: Path, drawn: bool) -> None:
        draw_plan(WINDOWS, self.data.samples, 0, None, path)

    @staticmethod
    def _command(command: Command, *arguments: str) -> None:
        read: Namespace = command.parser().parse_args(arguments)
        try:
            command.run(read, lambda line: None)
        except UsageMistake as mistake:
            raise CropdetError(str(mistake)) from mistake
