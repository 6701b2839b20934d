"""Media made on the spot, a network small enough to be saved and loaded at once, and a toy scan."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import HealthCheck, settings

from vidscan.records import ModelCard

SAMPLES = Path(__file__).parents[1] / "samples"

MakeClip = Callable[..., Path]

# No clocks: a busy machine is no failure.
settings.register_profile("vidscan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vidscan")


def pytest_configure() -> None:
    """Has Ctrl-C heeded by the tests and what they start, also where a shell runs them in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has tests of real clips count as slow."""
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for the tests alone; programs that they start use it too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDSCAN_CACHE", str(folder))
        yield folder


@pytest.fixture
def make_pipe() -> Iterator[Callable[[Path], None]]:
    """Makes named pipes. Whoever waits for a writer gets one, with nothing to say, after five seconds.

    So a test fails, and does not stand still, without the defence that it is about.
    """
    timers: list[threading.Timer] = []

    def write_nothing(path: Path) -> None:
        with contextlib.suppress(OSError):  # nobody reads it
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    def make(path: Path) -> None:
        os.mkfifo(path)
        timers.append(threading.Timer(5.0, write_nothing, [path]))
        timers[-1].start()

    yield make
    for timer in timers:
        timer.cancel()


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """Runs ffmpeg with the given arguments and an output of the given name; each name is made once.

    It is the embedded ffmpeg: older ones make other clips of the same arguments. What reads them in a test
    is the one that a scan takes.
    """
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, tuple[str | Path, ...]] = {}

    def make(name: str, *arguments: str | Path) -> Path:
        path = folder / name
        assert made.setdefault(name, arguments) == arguments, f"{name} is another test's clip: rename it"
        if not path.exists():
            program = imageio_ffmpeg.get_ffmpeg_exe()
            command = [program, "-nostdin", "-v", "error", "-y", *map(str, arguments), str(path)]
            subprocess.run(command, check=True, timeout=60)
        return path

    return make


def plain(colour: str) -> tuple[str, ...]:
    """Arguments for 2 s of one colour, 64x48 at 10 frames per second."""
    return ("-f", "lavfi", "-i", f"color={colour}:size=64x48:rate=10:duration=2", *MPEG4)


def detailed(colour: str) -> tuple[str, ...]:
    """The same in a check pattern of 2 pixels and 6 levels: sharp, so that a toy face can be judged by it."""
    pattern = "geq=lum='lum(X,Y)-6*mod(floor(X/2)+floor(Y/2),2)':cb='cb(X,Y)':cr='cr(X,Y)'"
    return (*plain(colour)[:4], "-vf", pattern, *MPEG4)


MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")
"""A codec that every ffmpeg build has."""


@pytest.fixture(scope="session")
def clip(make_clip: MakeClip) -> Path:
    """2 s of moving pictures at 25 frames per second, 64x48."""
    return make_clip("clip.mp4", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=2", *MPEG4)


@pytest.fixture(scope="session")
def bright_clip(make_clip: MakeClip) -> Path:
    """2 s at 10 frames per second in which the toy detector sees a face all the time."""
    return make_clip("bright.mp4", *detailed("white"))


@pytest.fixture(scope="session")
def red_clip(make_clip: MakeClip) -> Path:
    """2 s in which the toy detector sees a red face."""
    return make_clip("red.mp4", *detailed("red"))


@pytest.fixture(scope="session")
def dark_clip(make_clip: MakeClip) -> Path:
    """2 s in which the toy detector sees no face."""
    return make_clip("dark.mp4", *plain("black"))


@pytest.fixture
def text_as_clip(tmp_path: Path) -> Path:
    path = tmp_path / "text.mp4"
    path.write_text("This is no clip.\n")
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a few weights: P(real) is the sigmoid of how much redder than blue a crop is."""
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.keras"
    return save_colour_network(path, ModelCard("tiny", "none", 32, least_face=0), redness=4.0)


@pytest.fixture(scope="session")
def contrary_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of another geometry that takes red for fake."""
    path = tmp_path_factory.mktemp("checkpoint") / "contrary.keras"
    return save_colour_network(
        path, ModelCard("contrary", "none", 48, margin=2.0, least_face=0), redness=-3.0
    )


def save_colour_network(path: Path, card: ModelCard, *, redness: float) -> Path:
    """P(real) is the sigmoid of ``redness`` times how much redder than blue (-1 to 1) a crop is."""
    import numpy as np

    from vidscan.models.checkpoint import save_checkpoint
    from vidscan.system.frameworks import import_keras

    keras = import_keras()
    inputs = keras.Input((card.input_size, card.input_size, 3), name="crop")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    head = keras.layers.Dense(1, activation="sigmoid")
    network = keras.Model(inputs, head(x))
    head.set_weights([np.array([[redness], [0.0], [-redness]], np.float32), np.zeros(1, np.float32)])
    save_checkpoint(network, path, card)
    return path


@pytest.fixture(scope="session")
def research_clips() -> Path:
    """The folder of real clips, which is no part of the repository."""
    folder = Path(os.environ.get("VIDSCAN_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "ffpp").is_dir():
        pytest.skip("no research clips here: VIDSCAN_DATA names their folder")
    return folder / "ffpp"


class S3Server:
    """An S3 server on this machine, and a client to put things there."""

    def __init__(self, endpoint: str) -> None:
        import boto3

        self.endpoint = endpoint
        self.client = boto3.client("s3")

    def put(self, bucket: str, name: str, content: bytes | Path) -> str:
        """Makes the bucket if it is missing, and puts a file there; returns its URL."""
        if bucket not in {each["Name"] for each in self.client.list_buckets()["Buckets"]}:
            self.client.create_bucket(Bucket=bucket)
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client.put_object(Bucket=bucket, Key=name, Body=body)
        return f"s3://{bucket}/{name}"

    def content(self, bucket: str, name: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=name)["Body"].read()

    def names(self, bucket: str) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on the loopback interface."""
    moto = pytest.importorskip("moto.server", reason="the S3 server for tests is not installed (moto)")
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'vidscan[remote]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """That server, empty; this process and those that it starts take it for S3."""
    import fsspec
    import requests

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    requests.post(f"{s3_server}/moto-api/reset", timeout=10)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield S3Server(s3_server)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
