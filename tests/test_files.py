"""Files that are none: Git LFS pointers, pipes, devices, folders."""

import os
import socket

import pytest

from pytest_cropdet.errors import DataError, DetectorError
from pytest_cropdet.files import is_pointer, read_file, refuse_pointer, refuse_special

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 6000000\n"


def test_a_pointer_is_refused_with_the_command_that_fetches_the_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(POINTER)
    with pytest.raises(DetectorError, match=r"model\.tflite is a Git LFS pointer.*6,000,000 bytes: run `git lfs pull`"):
        refuse_pointer(path, "the model", DetectorError)
    with pytest.raises(DataError, match="Git LFS pointer"):
        read_file(path, "the image")


@pytest.mark.parametrize("content", [b"", b"{}", b"version 1", POINTER + b"x" * 2000])
def test_what_is_no_pointer_is_read(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not is_pointer(content)
    refuse_pointer(path, "the model")
    assert read_file(path, "the model") == content


def test_a_pointer_of_the_first_days_and_one_without_size_count_too(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"version https://hawser.github.com/spec/v1\noid sha256:00\nsize x\n")
    with pytest.raises(DataError, match="not the file itself: run"):
        refuse_pointer(path, "the model")


def test_what_cannot_be_read_is_left_to_whoever_reads_it(tmp_path):
    refuse_pointer(tmp_path / "missing", "the model")
    refuse_pointer(tmp_path, "the model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_a_device_a_socket_and_a_folder_are_named_and_never_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # a socket's path may be short only
    server.bind("socket")
    server.close()
    refuse_pointer(tmp_path / "pipe", "the model")
    for name, kind in (("pipe", "a named pipe"), ("socket", "a socket"), ("", "a folder")):
        with pytest.raises(DataError, match=f"it is {kind}; only regular files are read"):
            refuse_special(tmp_path / name, "the image")
    with pytest.raises(DataError, match="the image /dev/zero: it is a device"):
        read_file(type(tmp_path)("/dev/zero"), "the image")


def test_a_missing_file_and_a_name_that_none_can_have_are_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the image .*gone: No such file"):
        read_file(tmp_path / "gone", "the image")
    with pytest.raises(DataError, match=r"null (byte|character)"):
        read_file(tmp_path / "a\0b", "the image")
