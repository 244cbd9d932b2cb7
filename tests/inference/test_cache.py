"""Detections on disk: they come back as they were put, and a file that is damaged is neither trusted nor fatal."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.detectors import load_detector, versions
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, Profile, as_handle
from pytest_cropdet.errors import DataError
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Finished, events
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.inference import cache
from pytest_cropdet.inference import cache_keys as batch_keys
from pytest_cropdet.inference.cache import Cache, CacheWarning, pack, unpack
from pytest_cropdet.inference.cache_keys import BatchKeys
from pytest_cropdet.inference.sqlite import Database
from pytest_cropdet.settings import RunSettings
from tests.data.pictures import coco, encoded, quadrants, write_set

SETTINGS = RunSettings("random:keep=0.6,per_image=2", replicates=100)
ONE_KB = [Detections(np.arange(80.0).reshape(20, 4), np.full(20, 0.5), np.arange(20))]


@pytest.fixture
def store(tmp_path):
    with closing(Cache(tmp_path / "kept")) as made:
        yield made


def numbered(number):
    """An answer that no other number has."""
    rng = np.random.default_rng(number)
    rows = int(rng.integers(0, 12))
    first = Detections(
        np.sort(rng.normal(50, 40, (rows, 4))), rng.random(rows), rng.integers(1, 91, rows), bool(number % 2)
    )
    return [first, Detections.empty()]


@st.composite
def answers(draw):
    found = []
    for rows in draw(st.lists(st.integers(0, 4), max_size=4)):
        numbers = st.floats(allow_nan=False, allow_infinity=False)
        corners = st.tuples(*[numbers] * 4).map(sorted)
        boxes = draw(st.lists(corners, min_size=rows, max_size=rows))
        scores = draw(st.lists(st.floats(0, 1), min_size=rows, max_size=rows))
        ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
        found.append(Detections(np.reshape(boxes, (-1, 4)), scores, ids, capped=draw(st.booleans())))
    return found


@given(found=answers())
def test_answers_come_back_bit_for_bit(found):
    back = unpack(pack(found))
    assert [each.capped for each in back] == [each.capped for each in found]
    for one, other in zip(back, found, strict=True):
        for name in ("boxes", "scores", "categories"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
            assert getattr(one, name).dtype == getattr(other, name).dtype
            assert getattr(one, name).shape == getattr(other, name).shape


@given(found=answers(), cut=st.integers(1, 60), more=st.binary(min_size=1, max_size=60))
def test_answers_that_are_cut_off_or_too_long_are_refused(found, cut, more):
    data = pack(found)
    for damaged in (data[: max(0, len(data) - cut)], data + more):
        with pytest.raises(ValueError, match=r"."):
            unpack(damaged)


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"7", b"{}", b'{"rows": 1, "capped": [true]}', b'{"rows": [-1, 2], "capped": [true, true]}',
     b'{"rows": [1], "capped": []}', b'{"rows": [1.0], "capped": [true]}', b'{"rows": [1]}', b"\xff\xfe",
     b"[" * 100_000, b'{"rows": ["1"], "capped": [true]}', b'{"rows": [1e999], "capped": [true]}'],
)  # fmt: skip
def test_a_first_line_that_makes_no_sense_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        unpack(line + b"\n" + bytes(48))


def test_a_score_that_cannot_be_is_refused():
    data = bytearray(pack([Detections([[0, 0, 1, 1]], [0.5], [1])]))
    data[-16:-8] = np.array([1.5], "<f8").tobytes()
    with pytest.raises(ValueError, match="between 0 and 1"):
        unpack(bytes(data))


def test_what_is_put_is_there_for_everyone_and_stays(tmp_path, store):
    store.put("one", numbered(1))
    assert pack(store.get("one")) == pack(numbered(1))
    assert store.get("two") is None
    with closing(Cache(tmp_path / "kept")) as other:
        assert pack(other.get("one")) == pack(numbered(1))
        other.put("one", numbered(2))
    store.close()
    assert pack(store.get("one")) == pack(numbered(2))


def test_facts_come_back(store):
    assert store.fact("name") is None
    store.remember("name", {"batch": 8, "names": {"1": "Käse"}, "none": None})
    assert store.fact("name") == {"batch": 8, "names": {"1": "Käse"}, "none": None}


def test_looking_makes_no_folder_and_storing_one_that_is_kept_out_of_versions_and_backups(tmp_path):
    with closing(Cache(tmp_path / "a" / "b")) as store:
        assert store.get("one") is None
        assert store.fact("one") is None
        assert list(tmp_path.iterdir()) == []
        store.put("one", numbered(1))
    assert (tmp_path / "a" / "b" / ".gitignore").read_text().splitlines()[-1] == "*"
    assert (tmp_path / "a" / "b" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (tmp_path / "a" / "b" / "cache.sqlite").is_file()


def test_the_files_in_the_folder_that_a_user_changed_are_left_alone(tmp_path):
    (tmp_path / ".gitignore").write_text("mine\n")
    with closing(Cache(tmp_path)) as store:
        store.put("one", numbered(1))
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_clearing_leaves_nothing(store):
    store.clear()
    store.put("one", numbered(1))
    store.path.with_suffix(".damaged").write_bytes(b"old")
    store.clear()
    assert sorted(each.name for each in store.path.parent.iterdir()) == [".gitignore", "CACHEDIR.TAG"]
    assert store.get("one") is None
    store.put("one", numbered(2))
    assert pack(store.get("one")) == pack(numbered(2))


# Claims


def owned_by(store, owner, seconds=60.0, key="batch"):
    with sqlite3.connect(store.path) as db:
        db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, owner, time.time() + seconds))
    db.close()


@pytest.fixture
def stranger(store):
    """The name of another process on this machine that is alive."""
    store.remember("made", True)
    return f"{socket.gethostname()}:{os.getppid()}"


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def test_a_batch_that_a_live_process_has_claimed_is_left_to_it(store, stranger):
    owned_by(store, stranger)
    assert not store.claim("batch")
    assert store.claim("another")
    store.release("batch")
    assert not store.claim("batch"), "a claim is given up by its owner only"


@pytest.mark.parametrize(
    ("owner", "seconds"),
    [
        (lambda me: me, 60.0),
        pytest.param(lambda me: dead(), 60.0, marks=pytest.mark.subprocess),
        (lambda me: f"{socket.gethostname()}:{os.getppid()}", -0.001),
        (lambda me: "elsewhere:1", -0.001),
        (lambda me: "elsewhere:1", 1e6),
        (lambda me: "elsewhere:1", float("inf")),
        (lambda me: "elsewhere:1", "soon"),
        (lambda me: f"{socket.gethostname()}:{10**30}", 60.0),
        (lambda me: f"{socket.gethostname()}:me", 60.0),
        (lambda me: b"\0", 60.0),
        (lambda me: None, 60.0),
    ],
    ids=["own", "dead", "late", "late-elsewhere", "far-future", "never", "no-time", "no-pid", "text", "bytes", "null"],
)  # fmt: skip
def test_a_claim_that_nobody_stands_by_is_taken_over(store, stranger, owner, seconds):
    owned_by(store, owner(store._owner), 0.0)
    with sqlite3.connect(store.path) as db:
        until = seconds if isinstance(seconds, str) else time.time() + seconds
        db.execute("UPDATE claims SET until = ?", (until,))
    db.close()
    assert store.claim("batch")
    with closing(Cache(store.path.parent)) as other:
        other._owner = stranger
        assert not other.claim("batch")


def test_a_claim_of_another_machine_stands_until_its_time_has_run_out(store, stranger):
    owned_by(store, "elsewhere:1", 60.0)
    assert not store.claim("batch")


@pytest.mark.subprocess
def test_a_claim_of_a_process_that_died_and_was_not_yet_waited_for_is_taken_over(store, stranger):
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    process.stdout.read()
    time.sleep(0.05)
    owned_by(store, f"{socket.gethostname()}:{process.pid}")
    deadline = time.time() + 20
    while not store.claim("batch"):
        assert time.time() < deadline
        time.sleep(0.05)
    process.stdout.close()
    process.wait()


def test_an_answer_or_a_release_ends_a_claim(store, stranger):
    with closing(Cache(store.path.parent)) as other:
        other._owner = stranger
        assert store.claim("batch")
        assert not other.claim("batch")
        store.release("batch")
        assert other.claim("batch")
        other.put("batch", numbered(1))
        assert store.claim("batch")


@pytest.mark.subprocess
def test_of_many_processes_one_gets_the_claim_and_opening_at_once_fails_for_none(tmp_path):
    code = (
        "import sys, pathlib, time, warnings; warnings.simplefilter('error');"
        "from pytest_cropdet.inference.cache import Cache; store = Cache(pathlib.Path(sys.argv[1]));"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()));"
        "print(sum(store.claim(f'batch {n}') for n in range(50))); sys.stdout.flush(); sys.stdin.read()"
    )
    start = str(time.time() + 1.5)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "kept"), start], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    claimed = [int(each.stdout.readline() or -1000) for each in processes]
    for each in processes:
        each.communicate()
    assert sum(claimed) == 50


def test_threads_share_a_cache(store):
    def work(place):
        for number in range(place, 60, 4):
            store.put(str(number), numbered(number))
            store.get(str(number - 1))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(pack(store.get(str(number))) == pack(numbered(number)) for number in range(60))


# Size


def test_answers_that_were_not_asked_for_longest_go_first(tmp_path):
    size = len(pack(ONE_KB))
    with closing(Cache(tmp_path, limit=10 * size)) as store:
        for number in range(10):
            store.put(str(number), ONE_KB)
        assert all(store.get(str(number)) is not None for number in (0, 1, 2))
        for number in range(10, 14):
            store.put(str(number), ONE_KB)
        with sqlite3.connect(store.path) as db:
            kept = {row[0] for row in db.execute("SELECT key FROM batches")}
        db.close()
    assert {"0", "1", "2", "12", "13"} <= kept
    assert not {"3", "4", "5"} & kept
    assert len(kept) <= 10


def test_the_file_stays_within_its_limit_however_much_is_put(tmp_path):
    size = len(pack(ONE_KB))
    with closing(Cache(tmp_path, limit=100 * size)) as store:
        for number in range(600):
            store.put(str(number), ONE_KB)
        assert pack(store.get("599")) == pack(ONE_KB)
        assert store.get("400") is None
    assert store.path.stat().st_size < 250 * size


def test_an_answer_larger_than_the_limit_harms_nothing(tmp_path):
    with closing(Cache(tmp_path, limit=10)) as store:
        store.put("one", ONE_KB)
        assert store.get("one") is None


# Hashes of files


def aged(path, seconds=60.0):
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns - int(seconds * 1e9)))
    return path


def test_a_file_is_read_once_while_its_size_and_time_are_the_same(tmp_path, store, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    aged(path)
    reads = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or real(self))
    assert len({store.file_hash(path) for _ in range(5)}) == 1
    store.close()
    assert len({store.file_hash(path) for _ in range(5)}) == 1
    assert len(reads) == 1


@pytest.mark.parametrize("age", [0.0, 60.0])
def test_changed_content_is_noticed_even_of_the_same_size(tmp_path, store, age):
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    aged(path, age)
    before = store.file_hash(path)
    path.write_bytes(b"other")
    assert store.file_hash(path) != before
    path.write_bytes(b"first")
    assert store.file_hash(path) == before


def test_content_that_changes_within_a_tick_of_the_clock_is_noticed(tmp_path, store):
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    state = path.stat()
    before = store.file_hash(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert store.file_hash(path) != before


# Damage


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with 40 answers, facts, hashes of files and claims: once closed, and once as a crash leaves it."""
    folder = tmp_path_factory.mktemp("filled")
    picture = aged(encoded_picture(folder))
    store = Cache(folder / "crashed")
    for number in range(40):
        store.put(str(number), numbered(number))
        store.remember(f"fact {number}", {"batch": number})
    store.file_hash(picture)
    store.claim("claimed")
    owned_by(store, f"{socket.gethostname()}:{os.getppid()}", key="theirs")
    shutil.copytree(folder / "crashed", folder / "copy")
    store.close()
    (folder / "crashed").rename(folder / "closed")
    (folder / "copy").rename(folder / "crashed")
    assert (folder / "crashed" / "cache.sqlite-wal").stat().st_size > 10_000
    return folder


def encoded_picture(folder):
    path = folder / "picture.png"
    path.write_bytes(encoded(quadrants()))
    return path


def use(folder, picture):
    """Do with a cache what a run does; what comes back must be true, and only warnings may be said."""
    known = 0
    with warnings.catch_warnings(record=True) as said, closing(Cache(folder)) as store:
        warnings.simplefilter("always")
        for number in range(40):
            found, fact = store.get(str(number)), store.fact(f"fact {number}")
            assert found is None or pack(found) == pack(numbered(number))
            assert fact in (None, {"batch": number})
            known += found is not None
        assert store.file_hash(picture) == hashlib.sha256(picture.read_bytes()).hexdigest()
        store.claim("claimed")
        store.claim("theirs")
        store.put("new", numbered(99))
        store.remember("new", 99)
        store.evict()
        found = store.get("new")
        assert found is None or pack(found) == pack(numbered(99))
        assert store.fact("new") in (None, 99)
    assert all(each.category is CacheWarning for each in said), [str(each.message) for each in said]
    return known, [str(each.message) for each in said]


@pytest.mark.parametrize("state", ["closed", "crashed"])
def test_a_whole_file_gives_all_it_holds(filled, tmp_path, state):
    shutil.copytree(filled / state, tmp_path / "kept")
    assert use(tmp_path / "kept", filled / "picture.png") == (40, [])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("state", "name"), [("closed", ""), ("crashed", ""), ("crashed", "-wal"), ("crashed", "-shm")])
def test_a_changed_byte_anywhere_is_neither_trusted_nor_fatal(filled, tmp_path, state, name, seed):
    dice = random.Random(f"{state}{name}{seed}")
    for turn in range(6):
        folder = tmp_path / str(turn)
        shutil.copytree(filled / state, folder)
        path = folder / f"cache.sqlite{name}"
        data = bytearray(path.read_bytes())
        place = dice.randrange(100) if turn < 2 else dice.randrange(len(data))
        data[place] ^= dice.randrange(1, 256)
        path.write_bytes(data)
        use(folder, filled / "picture.png")
        _, said = use(folder, filled / "picture.png")
        assert not [each for each in said if "damaged" in each], f"byte {place}: a damaged file is set aside once"


@pytest.mark.parametrize("seed", range(4))
def test_changed_content_with_true_headers_is_not_trusted(filled, tmp_path, seed):
    """Damage that SQLite cannot see: values changed by its own means."""
    dice = random.Random(seed)
    shutil.copytree(filled / "closed", tmp_path / "kept")
    with sqlite3.connect(tmp_path / "kept" / "cache.sqlite") as db:
        for table, column in (("batches", "answer"), ("facts", "value"), ("files", "hash"), ("batches", "check_sum")):
            for row, value in db.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                data = bytearray(value if isinstance(value, bytes) else value.encode())
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(7)
                changed = bytes(data) if isinstance(value, bytes) else data.decode("ascii")
                db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, row))
        db.execute("UPDATE batches SET used = 'long ago'")
    db.close()
    assert use(tmp_path / "kept", filled / "picture.png") == (0, [])


def test_answers_that_changed_places_are_not_trusted(filled, tmp_path):
    shutil.copytree(filled / "closed", tmp_path / "kept")
    with sqlite3.connect(tmp_path / "kept" / "cache.sqlite") as db:
        db.execute("UPDATE batches SET key = CASE key WHEN '3' THEN 'x' WHEN '4' THEN 'y' ELSE key END")
        db.execute("UPDATE batches SET key = CASE key WHEN 'x' THEN '4' WHEN 'y' THEN '3' ELSE key END")
        db.execute("UPDATE facts SET name = 'fact x' WHERE name = 'fact 3'")
        db.execute("UPDATE facts SET name = 'fact 3' WHERE name = 'fact 4'")
    db.close()
    assert use(tmp_path / "kept", filled / "picture.png")[0] == 38


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b""), None),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "damaged"),
        (lambda path: path.write_bytes(random.Random(1).randbytes(9000)), "damaged"),
        (lambda path: path.write_bytes(b"all work and no play\n" * 400), "damaged"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be used"),
        (lambda path: execute(path, "PRAGMA user_version = 99"), "format 99"),
        (lambda path: execute(path, "DROP TABLE batches"), "damaged"),
        (lambda path: path.write_bytes(without_text(path.read_bytes())), "'utf-8' codec can't decode"),
        (lambda path: execute(path, "ALTER TABLE batches RENAME COLUMN answer TO reply"), "damaged"),
    ],
    ids=[
        "empty",
        "truncated",
        "header-only",
        "garbage",
        "text",
        "directory",
        "future",
        "no-table",
        "no-text",
        "other-table",
    ],
)
def test_a_file_that_is_none_of_ours_is_set_aside(filled, tmp_path, damage, says):
    shutil.copytree(filled / "closed", tmp_path / "kept")
    damage(tmp_path / "kept" / "cache.sqlite")
    known, said = use(tmp_path / "kept", filled / "picture.png")
    assert known == 0 or says == "damaged"
    assert len(said) == (0 if says is None else 1)
    assert all(says in each for each in said)
    if says is not None and says != "cannot be used":
        assert (tmp_path / "kept" / "cache.damaged").is_file()
        with closing(Cache(tmp_path / "kept")) as store:
            assert pack(store.get("new")) == pack(numbered(99))


def without_text(data):
    """A schema that SQLite cannot read, and whose name in SQLite's message is no UTF-8."""
    return data.replace(b"CREATE TABLE batches", b"CREATE TABLX batches").replace(
        b"tablebatches", b"table\xff\xfetches"
    )


def execute(path, statement):
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_a_folder_that_cannot_be_made_costs_one_warning(filled, tmp_path, place):
    (tmp_path / "a file").write_bytes(b"")
    with warnings.catch_warnings(record=True) as said, closing(Cache(tmp_path / place)) as store:
        warnings.simplefilter("always")
        store.put("one", numbered(1))
        assert store.get("one") is None
        assert store.claim("two")
        assert store.file_hash(filled / "picture.png")
        store.clear()
    assert [each.category for each in said[:1]] == [CacheWarning]
    assert len(said) <= 2


def test_a_folder_that_cannot_be_written_still_gives_what_it_holds(filled, tmp_path, monkeypatch):
    shutil.copytree(filled / "closed", tmp_path / "kept")
    real = sqlite3.connect

    def connect(path, **options):
        db = real(path, **options)
        db.execute("PRAGMA query_only = ON")
        return db

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr(os, "access", lambda *args, **options: False)
    known, said = use(tmp_path / "kept", filled / "picture.png")
    assert known == 40
    assert len(said) == 1
    assert "nothing more is stored" in said[0]


def test_two_that_find_the_same_damage_set_it_aside_once(filled, tmp_path):
    shutil.copytree(filled / "closed", tmp_path / "kept")
    path = tmp_path / "kept" / "cache.sqlite"
    with closing(Cache(path.parent)) as one, closing(Cache(path.parent)) as two:
        one.claim("a")
        two.claim("b")
        execute(path, "DROP TABLE facts")
        with pytest.warns(CacheWarning, match="set aside"):
            one.remember("new", 1)
        two.remember("other", 2)
        assert one.fact("new") == 1
        assert two.fact("new") == 1
        assert one.fact("other") == 2


# Keys


def picture(path, content=b"pixels"):
    path.write_bytes(content)
    return Sample(path.name, 48, 32, GroundTruth.empty(), quadrants, path)


def test_keys_differ_in_everything_that_can_change_an_answer(tmp_path, store, monkeypatch):
    a, b = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", b"others")
    crop = Crop(1, 2, 30, 20)
    base = [(a, crop), (b, None)]

    def key(pictures=base, fingerprint="v1", rendering=""):
        return BatchKeys(store, fingerprint).key([(*each, rendering) for each in pictures])

    assert key() == key()
    keys = {
        "as it is": key(),
        "order": key(base[::-1]),
        "fewer": key(base[:1]),
        "more": key([*base, (a, None)]),
        "crop": key([(a, Crop(1, 2, 30, 21)), (b, None)]),
        "place of the crop": key([(a, Crop(2, 1, 30, 20)), (b, None)]),
        "digits moved": key([(a, Crop(12, 3, 0 + 2, 20)), (b, None)]),
        "digits moved back": key([(a, Crop(1, 23, 2, 20)), (b, None)]),
        "whole for crop": key([(a, None), (b, None)]),
        "whole frame": key([(a, Crop(0, 0, 48, 32)), (b, None)]),
        "crop of the other": key([(a, None), (b, crop)]),
        "fingerprint": key(fingerprint="v2"),
        "rendering": key(rendering="cut mean"),
        "fill": key(rendering="cut gray"),
    }
    for change, (module, name, value) in {
        "decoder": (batch_keys, "decoder_version", lambda: "cv2 99"),
        "runtime": (versions, "_version", lambda package: "99"),
        "no runtime": (versions, "_version", lambda package: None),
        "adapters": (batch_keys, "ADAPTERS", 99),
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            keys[change] = key()
    a.path.write_bytes(b"pixelz")
    keys["content"] = key()
    assert len(set(keys.values())) == len(keys)


def test_a_picture_is_known_by_its_content_not_by_its_name(tmp_path, store):
    keys = BatchKeys(store, "v1")
    one, other = picture(tmp_path / "a.png"), picture(tmp_path / "moved.png")
    assert keys.key([(one, None, "")]) == keys.key([(other, None, "")])


FACTORY = "def make():\n    return lambda images: []\nmake.fingerprint = 'v1'\n"


def test_the_description_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    (tmp_path / "cache_factory.py").write_text(FACTORY)
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = "cache_factory:make"
    found = {
        "plain": load_detector(spec).fingerprint,
        "batch": load_detector(spec, batch=4).fingerprint,
        "first": load_detector(spec, first_category=0).fingerprint,
        "labels": load_detector(spec, labels=str(labels)).fingerprint,
    }
    labels.write_text("dog\ncat\n")
    found["labels changed"] = load_detector(spec, labels=str(labels)).fingerprint
    assert len(set(found.values())) == len(found)
    assert found["plain"] == "v1"


# Runs


class Painted:
    """A detector that finds the red quarter of a picture; it counts the pictures it was shown."""

    batch = 2
    fingerprint = "painted 1"

    def __init__(self):
        self.categories = {1: "person", 18: "dog"}
        self.shown = 0

    def __call__(self, images):
        self.shown += len(images)
        return [self.find(image) for image in images]

    def find(self, image):
        rows, columns = np.nonzero((image == (250, 10, 10)).all(axis=2))
        if not len(rows):
            return Detections.empty()
        return Detections([(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)], [0.9], [1])


def many(folder, count=6):
    images = [{"id": n, "file_name": f"{n}.png", "width": 48, "height": 32} for n in range(1, count + 1)]
    boxes = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [0, 0, 24, 16], "area": 384, "iscrowd": 0}
        for n in range(1, count + 1)
    ]
    path = write_set(folder, coco(images=images, annotations=boxes))
    for number in range(1, count + 1):
        pixels = quadrants()
        pixels[-1, -1, 0] = number
        (folder / f"{number}.png").write_bytes(encoded(pixels))
    return path


def outcome(detector, path, store=None, settings=SETTINGS):
    """The record of a run, but for what it took."""
    from pytest_cropdet import load_dataset

    *_, last = events(detector, load_dataset(path), settings, cache=store)
    assert isinstance(last, Finished)
    return {key: value for key, value in run_record(last.run).items() if key not in ("seconds", "model_calls")}


def test_a_second_run_calls_nothing_and_says_the_same(tmp_path, store):
    path = many(tmp_path / "set")
    plain = outcome(Painted(), path)
    first, second = Painted(), Painted()
    assert outcome(first, path, store) == plain
    assert first.shown == 6 + 12 + 2
    store.close()
    assert outcome(second, path, store) == plain
    assert second.shown == 0


def test_a_run_whose_answers_are_known_decodes_nothing(tmp_path, store):
    from pytest_cropdet import load_dataset
    from tests.support import Data

    path = many(tmp_path / "set")
    plain = outcome(Painted(), path, store)
    loaded = load_dataset(path)
    samples = [
        Sample(each.id, each.width, each.height, each.truth, lambda: pytest.fail("decoded"), each.path)
        for each in loaded
    ]
    *_, last = events(Painted(), Data(samples, loaded.categories), SETTINGS, cache=store)
    assert run_record(last.run)["ap"] == plain["ap"]
    assert last.run.spent.model_calls == 0


def test_what_was_odd_about_a_picture_is_said_by_a_run_that_decodes_none_too(tmp_path, store):
    path = many(tmp_path / "set")
    deep = np.zeros((32, 48), np.uint16)
    deep[:16, :24] = 4000
    for name in ("2.png", "5.png"):
        (tmp_path / "set" / name).write_bytes(encoded(deep))
    with pytest.warns(DataWarning, match="16-bit"):
        plain = outcome(Painted(), path)
    assert [(each["kind"], each["count"]) for each in plain["data_warnings"]] == [("dark_16_bit", 2)]
    assert plain["data_warnings"][0]["example"] == "image 2.png: highest value 4000"
    with pytest.warns(DataWarning):
        assert outcome(Painted(), path, store) == plain
    store.close()
    again = Painted()
    with pytest.warns(DataWarning):
        assert outcome(again, path, store) == plain
    assert again.shown == 0


class Noisy(Painted):
    """A detector that never answers the same twice."""

    fingerprint = "noisy"
    turn = itertools.count()

    def find(self, image):
        found = super().find(image)
        return Detections(found.boxes, np.full(len(found), 0.9 - next(self.turn) / 1000), found.categories)


def test_how_far_apart_two_answers_are_is_recalled_only_where_it_was_measured_in_the_same_way(tmp_path, store):
    path = many(tmp_path / "set")
    first, second, third = Noisy(), Noisy(), Noisy()
    plain = outcome(first, path, store)
    assert plain["deterministic"] == {"same": False, "spread": pytest.approx(0, abs=1), "images": 6}
    assert outcome(second, path, store) == plain
    assert second.shown == 0
    outcome(third, path, store, RunSettings(SETTINGS.crops, replicates=100, metric="AP50"))
    assert third.shown == 6


def test_a_detector_whose_profile_is_known_is_not_loaded_for_a_run_that_is_kept(tmp_path, store):
    path = many(tmp_path / "set")
    loaded = as_handle(Painted())
    adapter = loaded.adapter
    first = DetectorHandle("painted", lambda: adapter, Description(), "painted 1")
    plain = outcome(first, path, store)

    def cannot_load():
        raise RuntimeError("must not be loaded")

    again = DetectorHandle("painted", cannot_load, Description(), "painted 1")
    assert outcome(again, path, store) == plain
    assert again.images_sent == 0
    changed = DetectorHandle("painted", cannot_load, Description(), "painted 2")
    with pytest.raises(RuntimeError, match="must not be loaded"):
        outcome(changed, path, store)


def test_a_detector_that_is_there_is_asked_itself_not_its_profile_of_old(tmp_path, store):
    path = many(tmp_path / "set")
    outcome(Painted(), path, store)
    renamed = Painted()
    renamed.categories = {1: "dog", 18: "person"}
    assert outcome(renamed, path, store) != outcome(Painted(), path, store)
    assert outcome(renamed, path, store) == outcome(renamed, path)


@pytest.mark.parametrize(
    "profile",
    [
        Profile(8, {1: "cat", 90: "dog"}, 100, (0, 0), Description.of(boxes="yxyx", batch=8, labels="cat,dog")),
        Profile(1, None, None, (300, 320), Description()),
    ],
)
def test_a_profile_is_recalled_as_it_was(store, profile):
    class Loaded:
        fixed_input, batch, categories = True, profile.batch, profile.categories
        max_detections, description = profile.max_detections, profile.description

        def input_shape(self, width, height):
            return profile.input_size

    keys = BatchKeys(store, "v1")
    keys.keep_profile(DetectorHandle("x", Loaded, Description(), "v1"))
    other = DetectorHandle("x", lambda: pytest.fail("loaded"), Description(), "v1")
    assert keys.recall_profile(other)
    assert other.profile == profile
    assert not BatchKeys(store, "v2").recall_profile(other)


@pytest.mark.parametrize(
    "kept",
    [[], 7, "x", {}, {"batch": "many"}, {"batch": 1, "categories": ["cat"], "max_detections": None}, None,
     {"batch": 1, "categories": None, "max_detections": None, "input_size": [3], "description": {}},
     {"batch": 1, "categories": None, "max_detections": None, "input_size": [3, 4], "description": {"smell": "x"}}],
)  # fmt: skip
def test_a_profile_of_another_version_is_not_recalled(store, kept, monkeypatch):
    monkeypatch.setattr(store, "fact", lambda name: kept)
    assert not BatchKeys(store, "v1").recall_profile(DetectorHandle("x", lambda: None, Description(), "v1"))


def test_without_a_fingerprint_nothing_is_kept(tmp_path, store):
    path = many(tmp_path / "set")
    anonymous = Painted()
    anonymous.fingerprint = None
    outcome(anonymous, path, store)
    assert not store.path.exists()
    assert BatchKeys.of(None, as_handle(Painted())) is None
    assert BatchKeys.of(store, as_handle(anonymous)) is None


def test_a_picture_without_a_file_is_known_by_its_pixels_as_they_are_in_each_run(store):
    def key(pixels):
        return BatchKeys(store, "v1").key([(Sample("a.png", 48, 32, GroundTruth.empty(), lambda: pixels), None, "")])

    assert key(quadrants()) == key(quadrants())
    assert key(quadrants()) != key(quadrants()[::-1])
    assert key(quadrants().reshape(-1, 16, 3)) != key(quadrants())


def test_a_picture_without_a_file_that_cannot_be_read_has_no_key(store):
    def read():
        raise RuntimeError("gone")

    assert BatchKeys(store, "v1").key([(Sample("a.png", 48, 32, GroundTruth.empty(), read), None, "")]) is None


def test_samples_without_files_are_computed_once(tmp_path, store):
    from pytest_cropdet import load_dataset
    from tests.support import Data

    loaded = load_dataset(many(tmp_path / "set"))
    samples = [Sample(each.id, each.width, each.height, each.truth, each.read) for each in loaded]
    counts = []
    for _ in range(2):
        detector = Painted()
        list(events(detector, Data(samples, loaded.categories), SETTINGS, cache=store))
        counts.append(detector.shown)
    assert counts == [20, 0]


def test_a_changed_picture_is_computed_anew_with_the_others_of_its_batch(tmp_path, store):
    path = many(tmp_path / "set")
    outcome(Painted(), path, store)
    (tmp_path / "set" / "3.png").write_bytes(encoded(quadrants()[::-1]))
    detector = Painted()
    assert outcome(detector, path, store) == outcome(Painted(), path)
    assert detector.shown == 2 + 4


def test_a_missing_picture_is_named_as_it_is_without_a_cache(tmp_path, store):
    from pytest_cropdet import load_dataset

    path = many(tmp_path / "set")
    outcome(Painted(), path, store)
    data = load_dataset(path)
    (tmp_path / "set" / "3.png").unlink()
    with pytest.raises(DataError) as plain:
        list(events(Painted(), data, SETTINGS))
    with pytest.raises(DataError) as kept:
        list(events(Painted(), data, SETTINGS, cache=store))
    assert str(kept.value) == str(plain.value)


@pytest.mark.parametrize("looks", ["off", "auto"])
def test_asking_for_more_windows_computes_only_those(tmp_path, store, looks):
    path = many(tmp_path / "set")
    first, second = Painted(), Painted()
    few = RunSettings("random:keep=0.6,per_image=1", replicates=100, looks=looks)
    more = RunSettings("random:keep=0.6,per_image=3", replicates=100, looks=looks)
    outcome(first, path, store, few)
    outcome(second, path, store, more)
    assert second.shown == 12


def test_the_form_of_the_file_has_not_changed_without_a_new_number():
    """Whoever changes what is stored, or how, raises FORMAT; then change this, too."""
    assert cache.FORMAT == 1
    tables = [line.split(" (")[1] for line in cache._TABLES.strip().splitlines() if "TABLE" in line]
    assert tables == [
        "key TEXT PRIMARY KEY, answer BLOB, check_sum TEXT, used INTEGER);",
        "key TEXT PRIMARY KEY, owner TEXT, until REAL);",
        "path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, hash TEXT, check_sum TEXT);",
        "name TEXT PRIMARY KEY, value TEXT, check_sum TEXT);",
    ]
    assert json.loads(pack(numbered(1)).partition(b"\n")[0]).keys() == {"rows", "capped"}


def test_a_database_that_nobody_uses_any_more_closes_its_file(tmp_path):
    database = Database(tmp_path / "cache.sqlite", "CREATE TABLE IF NOT EXISTS numbers (number);", 1)
    database.write(lambda db: db.execute("INSERT INTO numbers VALUES (1)"))
    connection = database._connection
    connection.execute("SELECT 1")
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
