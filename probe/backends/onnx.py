"""A classifier in an ONNX file, run by onnxruntime in this process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.backends.preprocessing import Filter, Preprocessing
from probe.errors import BackendError, MissingExtra, UsageError
from probe.limits import Limits
from probe.text import printable
from probe.types import Codec, Failure, Scores, Variant

Activation = Literal["none", "softmax", "sigmoid"]


class Onnx:
    """Any image classifier with one picture in and one row of scores out.

    path: the .onnx file, weights inside it. labels: one for each output, in order.
    size, resize, filter, jpeg, channels, layout, scale, mean, std: what is done to a picture,
    see `Preprocessing`. activation: what turns the outputs into scores, `none` where the
    network does so itself. question: the label asked about by default.
    sha256: refuse any other file. threads: of onnxruntime, default the cores of this process.

    The file is read at the first use. Raises UsageError when it is missing, is not a network,
    or does not fit the labels and the size; MissingExtra without onnxruntime.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        labels: Sequence[str],
        size: tuple[int, int] = (224, 224),
        resize: tuple[int, int] | int | None = None,
        filter: Filter = "bilinear",
        jpeg: int | None = None,
        channels: Literal["RGB", "BGR"] = "RGB",
        layout: Literal["NHWC", "NCHW"] = "NCHW",
        scale: float = 1.0,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        activation: Activation = "none",
        question: str | None = None,
        sha256: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.labels = tuple(labels)
        self.preprocessing = Preprocessing(
            size, resize, filter, jpeg, channels, layout, scale, tuple(mean), tuple(std)
        )
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise UsageError("labels must be at least one name, each once")
        if activation not in ("none", "softmax", "sigmoid"):
            raise UsageError(f"activation must be none, softmax or sigmoid, not {activation!r}")
        if threads is not None and not 1 <= threads <= 1024:
            raise UsageError(f"threads must be from 1 to 1024, not {threads}")
        if question is not None and question not in self.labels:
            raise UsageError(f"question {question!r} is not one of the labels {self.labels}")
        self.activation: Activation = activation
        self._question = question
        self._sha256 = sha256
        self._threads = threads
        self._lock = Lock()
        self._loaded: tuple[str, _Network] | None = None
        self._digest: str | None = None

    def __repr__(self) -> str:
        return f"Onnx({str(self.path)!r}, labels={self.labels!r})"

    @property
    def identity(self) -> str:
        """Digest of the file, preprocessing and labels: the same answers from any place."""
        with self._lock:
            if self._digest is None:
                self._read()
            return (
                f"onnx sha256:{self._digest} {self.preprocessing} "
                f"activation {self.activation} labels {','.join(self.labels)}"
            )

    @property
    def limits(self) -> Limits:
        return Limits(
            batch=32,
            formats=("pixels",),
            labels=self.labels,
            question=self._question,
            seen=self.preprocessing.seen,
            deterministic=True,
        )

    def score(self, variants: Sequence[Variant], codec: Codec) -> list[Scores | Failure]:
        """One picture at a time: as fast as a batch here, and its bits depend on no other."""
        network = self._network()
        rows = (network(self.preprocessing(v.pixels())).astype(np.float64) for v in variants)
        return [scores_of(row, self.activation, self.labels) for row in rows]

    def content(self) -> bytes:
        """The bytes of the file, which are the expected ones; raises UsageError."""
        with self._lock:
            return self._read()

    def session(self, model: bytes, threads: int | None = None) -> Any:
        """An onnxruntime session over another form of the network; raises UsageError."""
        return _Network(self.path, model, threads or self._threads).session

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: a copy in another process reads its file anew."""
        return {**vars(self), "_lock": None, "_loaded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    def _network(self) -> _Network:
        with self._lock:
            if self._loaded is None:
                model = self._read()
                network = _Network(self.path, model, self._threads)
                network.check(self.preprocessing, len(self.labels))
                self._loaded = (self._digest or "", network)
            return self._loaded[1]

    def _read(self) -> bytes:
        try:
            model = self.path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read the network {self.path}: {error.strerror}") from error
        digest = hashlib.sha256(model).hexdigest()
        if self._sha256 is not None and digest != self._sha256:
            raise UsageError(
                f"{self.path} is not the expected network: its sha256 is {digest}, "
                f"not {self._sha256}; install it anew"
            )
        if self._digest is not None and digest != self._digest:
            raise UsageError(f"{self.path} has changed since it was first read; start again")
        self._digest = digest
        return model


class _Network:
    """An onnxruntime session that reads nothing but the bytes it is given."""

    def __init__(self, path: Path, model: bytes, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("onnxruntime", "local") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _cores()
        options.inter_op_num_threads = 1
        # Spinning gains a sixth on an idle machine and costs half of the speed on a busy one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        # The file as the folder of its own external data: no such data is ever found.
        folder = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(folder, str(path.absolute()))
        self.path = path
        try:
            self.session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise UsageError(f"{path} cannot be used as a network: {_reason(error)}") from error
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def check(self, preprocessing: Preprocessing, labels: int) -> None:
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            found = ", ".join(f"{i.name} {i.type}" for i in inputs)
            raise UsageError(f"{self.path} must take one float picture; it takes {found}")
        width, height = preprocessing.size
        given = (1, height, width, 3) if preprocessing.layout == "NHWC" else (1, 3, height, width)
        wanted = list(inputs[0].shape)
        if len(wanted) != 4 or any(
            isinstance(w, int) and w != g for w, g in zip(wanted, given, strict=True)
        ):
            raise UsageError(
                f"{self.path} takes the shape {_shape(wanted)}, but layout "
                f"{preprocessing.layout} and size {width}x{height} give {_shape(given)}"
            )
        outputs = self(np.zeros(given, np.float32))
        if len(outputs) != labels:
            raise UsageError(
                f"{self.path} gives {len(outputs)} scores a picture, but {labels} labels are stated"
            )

    def __call__(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (outputs,) = self.session.run([self.output], {self.input: picture})
        except Exception as error:
            raise BackendError(f"{self.path} failed on a picture: {_reason(error)}") from error
        if not isinstance(outputs, np.ndarray) or outputs.size != outputs.shape[-1]:
            raise UsageError(f"{self.path} must give one row of scores a picture")
        row: NDArray[np.float32] = outputs.reshape(-1)
        return row


def scores_of(
    outputs: NDArray[np.float64], activation: Activation, labels: Sequence[str]
) -> Scores | Failure:
    """What a row of a network's outputs means, one number a label."""
    values = _activated(outputs, activation)
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        return Failure("invalid", f"the network gave {values[bad]} for {labels[bad]!r}")
    return Scores(dict(zip(labels, values.tolist(), strict=True)))


def _activated(values: NDArray[np.float64], activation: Activation) -> NDArray[np.float64]:
    if activation == "softmax":
        powers = np.exp(values - values.max())
        softmax: NDArray[np.float64] = powers / powers.sum()
        return softmax
    if activation == "sigmoid":
        sigmoid: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * values))
        return sigmoid
    return values


def _reason(error: Exception) -> str:
    """onnxruntime's message without its code; a word of help where the cause is known."""
    text = str(error)
    if "not a registered function/op" in text:
        return f"it needs custom operators, which are not loaded ({printable(text[-120:].strip())})"
    if "xternal data" in text:
        return "its weights are in another file; save it with the weights inside"
    return printable(text.rsplit(" : ", 1)[-1].strip(), 200)


def _shape(shape: Sequence[Any]) -> str:
    return "x".join(str(side) if isinstance(side, int) else "?" for side in shape)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
