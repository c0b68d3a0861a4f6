"""Model files that somebody damaged or made to harm, and programs killed while they save."""

import io
import os
import random
import signal
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm.model.model_file import read_model

MIB = 2.0**20


@pytest.fixture(scope="module")
def model():
    """A mixture whose covariances are no round numbers."""
    covariances = [[[1.0, 0.3], [0.3, 2.0]], [[0.7, -0.1], [-0.1, 0.2]]]
    return fastgmm.Mixture.from_parameters([0.3, 0.7], [[0.0, 1.0], [2.5, 3.0]], covariances)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    return path


def arrays_of(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def members_of(path):
    """The members of an archive as bytes, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def header(descr="<f8", shape="(2,)", order="False"):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def assert_refused(path):
    """Loading must end in the one error class, and take next to no memory to do so."""
    tracemalloc.start()
    try:
        with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz") as caught:
            fastgmm.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * path.stat().st_size + MIB
    return str(caught.value)


def test_truncated_at_every_byte(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(fastgmm.ModelFileError, match=r"model\.npz"):
            fastgmm.load(saved)


def test_one_bit_flipped_in_every_byte(saved, model):
    """Refused, unless it lies where archives keep dates and the like."""
    content = saved.read_bytes()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        saved.write_bytes(damaged)
        try:
            assert fastgmm.load(saved) == model
        except fastgmm.ModelFileError:
            refused += 1
    assert refused > len(content) / 2


def test_bytes_added_or_taken_within(saved):
    """Random cuts and insertions, the checksums put right by writing the archive anew."""
    members = members_of(saved)
    draw = random.Random(0)
    for _ in range(300):
        name = draw.choice(list(members))
        content = bytearray(members[name])
        place = draw.randrange(len(content))
        content[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        write_members(saved, {**members, name: bytes(content)})
        try:
            loaded = fastgmm.load(saved)
        except fastgmm.ModelFileError:
            continue
        assert_valid(loaded)


def assert_valid(mixture):
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        assert np.isfinite(getattr(mixture, name)).all(), name
    proba = mixture.predict_proba(np.zeros((1, mixture.n_features)))
    np.testing.assert_allclose(proba.sum(), 1.0, rtol=1e-14)


@pytest.mark.parametrize("name", ["means", "factors", "weights", "regularized", "format"])
@pytest.mark.parametrize(
    "head",
    [
        header(shape=f"({10**15},)"),
        header(shape=f"({10**9}, {10**9})"),
        header(shape="(0, 1000000000)"),
        header(shape="(-1, -2)"),
        header(shape="(2, 0)"),
        header(descr="<U2147483647"),
        header(descr="<f800000000"),
        header(descr="|O"),
        header(descr="<U0"),
        header(order="True"),
        header(shape="__import__('os').abort()"),
        header(shape="(" * 40 + ")" * 40),
        b"\x93NUMPY\x03\x00" + header()[8:],
        b"\x93NUMPY",
        b"",
    ],
    ids=range(15),
)
def test_headers_that_lie(saved, name, head):
    """Shapes of 10^15 numbers, types of 2 GiB, code where a shape should be: nothing is made."""
    members = members_of(saved)
    write_members(saved, {**members, f"{name}.npy": head + bytes(32)})
    assert_refused(saved)


@pytest.mark.parametrize("name", ["weights", "means", "covariances", "factors", "log_det"])
def test_arrays_of_another_length(saved, name):
    arrays = arrays_of(saved)
    for wrong in (np.concatenate([arrays[name]] * 2), arrays[name][:1], arrays[name][:0]):
        np.savez(saved, **{**arrays, name: wrong})
        assert_refused(saved)


def test_a_mixture_without_features_or_components(saved):
    arrays = arrays_of(saved)
    empty = {"means": (1, 0), "covariances": (1, 0, 0), "factors": (1, 0, 0)}
    empty = {name: np.zeros(shape) for name, shape in empty.items()}
    np.savez(saved, **{**arrays, **empty, "weights": [1.0], "log_det": [0.0]})
    assert_refused(saved)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("factors", lambda a: a * 1.001),
        ("factors", lambda a: a + np.triu(np.ones((2, 2)), 1)),
        ("factors", lambda a: -a),
        ("log_det", lambda a: a + 1e-6),
        ("covariances", lambda a: a * [[1.0, 0.9], [0.9, 1.0]]),
        ("regularized", lambda a: np.array([2])),
        ("regularized", lambda a: np.array([-1])),
        ("regularized", lambda a: np.array([1, 0])),
        ("log_likelihoods", lambda a: np.array([np.nan])),
        ("log_likelihoods", lambda a: np.array([[1.0]])),
        ("converged", lambda a: np.array(1.0)),
        ("version", lambda a: np.array([1, 1])),
        ("version", lambda a: np.array(np.inf)),
        ("covariance_type", lambda a: np.array(["full"] * 1000)),
    ],
)
def test_arrays_that_contradict_each_other(saved, name, change):
    arrays = arrays_of(saved)
    np.savez(saved, **{**arrays, name: change(arrays[name])})
    assert_refused(saved)


def test_letters_that_are_none(saved):
    """Text with code points beyond Unicode's last."""
    members = members_of(saved)
    text = header(descr="<U4", shape="()") + b"\xff" * 16
    for name in ("format", "covariance_type"):
        write_members(saved, {**members, f"{name}.npy": text})
        assert_refused(saved)


class TestBombs:
    """Archives made to unfold in memory, or to take for ever."""

    def test_compressed_zeros(self, saved):
        members = members_of(saved)
        content = header(shape=f"({2**24},)") + bytes(2**27)
        write_members(saved, {**members, "means.npy": content}, zipfile.ZIP_DEFLATED)
        assert saved.stat().st_size < MIB
        assert_refused(saved)

    def test_many_members(self, saved):
        """A directory of 30,000 entries is refused before it is read."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for n in range(30_000):
                archive.writestr(f"{n}", b"")
        saved.write_bytes(buffer.getvalue())
        assert_refused(saved)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_one_name_many_times(self, saved):
        members = members_of(saved)
        with zipfile.ZipFile(saved, "a") as archive:
            for _ in range(1000):
                archive.writestr("means.npy", members["means.npy"])
        assert_refused(saved)

    def test_members_on_top_of_each_other(self, saved):
        """Each entry of the directory claims the same large bytes."""
        members = members_of(saved)
        large = header(shape=f"({2**17},)") + bytes(2**20)
        write_members(saved, {**members, "means.npy": large})
        with zipfile.ZipFile(saved) as archive:
            target = archive.getinfo("means.npy")
        content = bytearray(saved.read_bytes())
        place = content.index(b"PK\x01\x02")
        while place >= 0:
            struct.pack_into("<LLL", content, place + 16, target.CRC, *[target.file_size] * 2)
            struct.pack_into("<L", content, place + 42, target.header_offset)
            place = content.find(b"PK\x01\x02", place + 1)
        saved.write_bytes(content)
        assert "laid out" in assert_refused(saved)

    def test_a_size_far_beyond_the_file(self, saved):
        content = bytearray(saved.read_bytes())
        place = content.index(b"PK\x01\x02")
        struct.pack_into("<LL", content, place + 20, 2**31, 2**31)
        saved.write_bytes(content)
        assert_refused(saved)

    def test_a_directory_elsewhere(self, saved):
        """The record that archives beyond 4 GiB have, in one that is not."""
        content = saved.read_bytes()
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
        saved.write_bytes(content[:-22] + locator + content[-22:])
        assert_refused(saved)


def test_what_loading_takes(tmp_path):
    """At most eight times the file, and 1 MiB."""
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((20, 100, 100))
    covariances = roots @ roots.swapaxes(1, 2) + np.eye(100)
    means = rng.standard_normal((20, 100))
    path = tmp_path / "model.npz"
    fastgmm.Mixture.from_parameters(np.full(20, 0.05), means, covariances).save(path)
    tracemalloc.start()
    fastgmm.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * path.stat().st_size + MIB


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.npz")
    with pytest.raises(fastgmm.ModelFileError, match="not a regular file"):
        fastgmm.load(tmp_path / "model.npz")


def test_a_folder(tmp_path):
    with pytest.raises(OSError, match=r"(?i)directory|denied"):
        fastgmm.load(tmp_path)


def test_a_link_stays_a_link(saved, model, tmp_path):
    saved.unlink()
    target = tmp_path / "elsewhere.npz"
    saved.symlink_to(target)
    model.save(saved)
    assert saved.is_symlink()
    assert fastgmm.load(target) == model


def test_the_longest_of_names(model, tmp_path):
    path = tmp_path / ("\N{GREEK SMALL LETTER MU}" * 125 + ".npz")
    model.save(path)
    assert fastgmm.load(path) == model


KILLED = """
import os, random, signal, sys, time
from pathlib import Path

import numpy as np

import fastgmm

path = Path(sys.argv[1])
large = np.eye(40) * np.ones((20, 1, 1))
models = [
    fastgmm.Mixture.from_parameters([1.0], [[0.0]], [[[1.0]]]),
    fastgmm.Mixture.from_parameters(np.full(20, 0.05), np.ones((20, 40)), large),
]
models[0].save(path)
draw = random.Random(0)
seen = set()
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        while True:
            for model in models:
                model.save(path)
    time.sleep(draw.uniform(0.001, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen.add(models.index(fastgmm.load(path)))
print(len(seen), len(list(path.parent.iterdir())))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_killed_200_times_while_saving(tmp_path):
    """The old file or the new one is whole, whenever the program is killed."""
    command = [sys.executable, "-W", "error", "-c", KILLED, tmp_path / "model.npz", "200"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    n_models, n_files = map(int, result.stdout.split())
    assert n_models == 2
    assert n_files > 20  # so many times it was killed with a file half written


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on the size of files")
def test_a_full_disk_leaves_the_old_file(saved, model, tmp_path):
    import resource

    means = np.arange(100_000.0)
    large = fastgmm.Mixture.from_parameters(
        np.full(100_000, 1e-5), means, np.ones(100_000), "spherical"
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            large.save(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert fastgmm.load(saved) == model
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_failure_while_saving_leaves_the_old_file(saved, model, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    other = fastgmm.Mixture.from_parameters([1.0], [[0.5]], [[[2.0]]])
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="No space"):
                other.save(saved)
        assert fastgmm.load(saved) == model
        assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_reading_returns_no_view_of_the_file(saved):
    """What is read stays when the file goes."""
    fields = read_model(saved)
    Path(saved).unlink()
    assert fields["means"].sum() == 6.5
