"""The compiled model as a Python object."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from .. import abi
from ..alignment import aligned, aligned_bytes
from ..errors import InputError, NativeError, TargetError, UsageError
from ..native import host_target, load_object
from ..types import Array
from . import layout
from .arrays import checked_inputs, checked_outputs, fewest, fresh_outputs, most_fresh, ordered_inputs, with_out
from .callable import CallSignature, NativeCallable
from .executable import Executable, Port
from .interruptible import LONG, interruptible, matters
from .memory import allocated
from .numpy_abi import empty_function
from .origin import Explained, Origin
from .outputs import Outputs, given, outputs_type
from .ports import port_table
from .session import BUSY, Code, Session
from .shim import shim

_TURN_SECONDS = 2e-5  # that a call which updates states waits before it asks again
Result = Array | Outputs


class Model(NativeCallable, Explained):
    """A model that can be called: `y = model(x)`.

    Inputs are arrays of the element types in `inputs`, in that order or by their names (`model(image=x, size=s)`), or
    one dict by name, which may also have the names `out` and `convert`. Arrays of other libraries
    (DLPack, `__array_interface__`) and any buffer with a shape (memoryview, ctypes array…) are used as the array over
    their memory. With `convert=True`, arrays of other elements are converted (float64 is rounded, a whole number stays
    what it is, or is refused); a call that does not say does what the model was compiled with. The result of a model
    with one output is an array; several are a tuple in the order of `outputs`, which has their names as well
    (`model(x)["scores"]`, see `Outputs`). `named` has the names whatever the number of outputs. With `out=` (an array,
    a sequence in the order of outputs, or a dict) the result is written there. If the graph mixes no images, and
    nothing in it was computed from their number, a call may have any number of images.

    Ctrl-C ends the wait for a call of the main thread that takes long; native code goes on in the background.
    Several threads may call one model at the same time: the first uses its workspace and its workers, each other one
    a workspace of its own and one thread. Calls that update states (`state`) wait for each other instead. The GIL is
    released while native code runs. A pickled model is its source, compiled again when it is loaded (`rebuild`: a
    function and its arguments), never machine code; its states begin anew. A model made with `state`, another model of
    the same states, reads that one's. `origin` is what is known of the model that it was compiled from.

    Raises InputError for data that does not fit, and NativeError if native code refuses or the model has been closed.
    Raises TargetError if this machine cannot run the code, and NoMemoryError if there is no room for workspace, outputs
    or copies.
    """

    __signature__ = CallSignature()

    def __init__(
        self,
        executable: Executable,
        *,
        threads: int = 1,
        code: Code | None = None,
        rebuild: tuple[Callable[..., Model], tuple[Any, ...]] | None = None,
        state: Model | None = None,
        origin: Origin | None = None,
    ):
        self._executable, self._rebuild, self._origin = executable, rebuild, origin
        self._threads = max(1, min(threads, executable.max_shards, executable.useful_shards))
        self._code = code if code is not None else _loaded(executable)
        _check_processor(self._code, executable)
        self._weights = self._aligned_weights() if code is None else None
        self._closed = self._abandoned = False
        self._state = self._first_state() if state is None else self._state_of(state)
        self._session = self._new_session(self._threads)
        self._sessions = [self._session]
        self._kind = outputs_type(tuple(port.name for port in executable.outputs))
        self._record, self._entry = self._fast_record(), shim().call

    def named(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Outputs:
        """A call whose results have names, however many they are: `model.named(x)["scores"]`.

        A call gives the one output of a model as an array of NumPy's own type, which knows no names: one of a subclass
        would hand on its type to all that is computed from it, and a dict would be another type than an array for
        programs that compute with the result.
        """
        asked = {} if convert is None else {"convert": convert}
        result = self(*inputs, out=out, **asked, **named)
        return result if isinstance(result, Outputs) else given(self._kind.names, result)

    def bind(self, /, *inputs: Any, out: Any = None, **named: Any) -> Callable[[], Any]:
        """A callable without arguments that reads these arrays and writes these outputs; it checks nothing again.

        `out` may also follow the inputs. Raises InputError where a call does, and for inputs that are not C-contiguous:
        a copy of them would not see later changes.
        """
        inputs, out = with_out(self._executable, inputs, len(named), out)
        given = ordered_inputs(self._executable, inputs, named)
        arrays, images = checked_inputs(self._executable, given)
        for port, value, array in zip(self.inputs, given, arrays, strict=True):
            if value is not array:
                raise InputError(f"input '{port.name}': only a C-contiguous array can be bound")
        results = self._results(out, arrays, images)
        answer = out if out is not None else self._answer(results)
        if images == 0:
            return lambda: answer
        return self._bound(images, arrays, results, answer)

    @property
    def name(self) -> str:
        return self._executable.name

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of each input, in order."""
        return self._executable.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Name, shape and dtype of each output, in order."""
        return self._executable.outputs

    @property
    def state(self) -> dict[str, Array]:
        """The model's states by name, as they are now: arrays in the memory that calls read and update."""
        block = self._state
        return {
            port.name: port.bytes_in(block).view(port.type.dtype.numpy).reshape(port.shape)
            for port in self._executable.states
        }

    @property
    def state_block(self) -> Array:
        """The bytes of all states."""
        return self._state[: self._executable.state_bytes]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, where the model has them."""
        return self._executable.labels

    @property
    def threads(self) -> int:
        return self._threads

    @property
    def executable(self) -> Executable:
        """The object code with its description."""
        return self._executable

    @property
    def workspace(self) -> Array:
        """The bytes of the workspace, used by one call at a time; a profiled program counts its ticks there."""
        return self._session.workspace

    def close(self) -> None:
        """End the workers, after the running calls if there are any. Later calls of the model raise NativeError."""
        self._closed = True
        for session in self._sessions:
            if self._abandoned:  # a call that Ctrl-C left runs on, and is not waited for
                threading.Thread(target=session.close, daemon=True).start()
            else:
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        ports = (f"{port.name}: {self._taken(port)}" for port in (*self.inputs, *self.outputs))
        return f"<cnncc.Model '{self.name}' ({', '.join(ports)}), threads={self.threads}>"

    def _taken(self, port: Port) -> str:
        """Element and shape, with n for the number of images where that is free."""
        if not (self._executable.batchable and port.batched):
            return str(port.type)
        each = port.shape[0] // self._executable.images
        return f"{port.dtype}[{', '.join(['n' if each == 1 else f'{each}·n', *map(str, port.shape[1:])])}]"

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[Any, ...]]:
        if self._rebuild is None:
            raise TypeError(f"model '{self.name}' was made from object code alone, which is not pickled")
        return self._rebuild

    def _call(self, /, *inputs: Any, out: Any = None, convert: bool | None = None, **named: Any) -> Any:
        """Any call that the native function does not accept: raise an error for what is wrong, or convert and run."""
        given = ordered_inputs(self._executable, inputs, named)
        by_name = named or (inputs and isinstance(inputs[0], Mapping))
        if by_name and convert is None and all(isinstance(value, np.ndarray) for value in given):
            return self(*given) if out is None else self(*given, out=out)  # by place: mostly the native function's
        convert = self._executable.convert if convert is None else convert
        arrays, images = checked_inputs(self._executable, given, convert=convert)
        results = self._results(out, arrays, images)
        if images:
            self._execute(images, arrays, results)
        return self._answer(results) if out is None else out

    _call.__qualname__ = "Model.__call__"  # as Python's own messages name it

    def _results(self, out: Any, arrays: list[Array], images: int) -> list[Array]:
        """The arrays that a call writes: fresh ones, or those of `out`."""
        if out is None:
            return fresh_outputs(self._executable, images)
        return checked_outputs(self._executable, out, arrays, images)

    def _execute(self, images: int, arrays: list[Array], results: list[Array]) -> None:
        """Run the call; Ctrl-C ends the wait for a long one."""
        if matters(self._cycles(images)):
            interruptible(lambda: self._execute_here(images, arrays, results), self._abandon)
        else:
            self._execute_here(images, arrays, results)

    def _cycles(self, images: int) -> float:
        return self._executable.cycles * images / self._executable.images

    def _abandon(self) -> None:
        self._abandoned = True

    def _execute_here(self, images: int, arrays: list[Array], results: list[Array]) -> None:
        """Run on the first session that is free; if none is, on a new one, so that no call waits for another.

        Calls that update states wait: each begins with what the one before it made.
        """
        while True:
            for session in tuple(self._sessions):
                if self._execute_on(session, images, arrays, results) != BUSY:
                    return
            if self._closed:
                raise NativeError(f"model '{self.name}' has been closed")
            if not self._executable.updates:
                break
            time.sleep(_TURN_SECONDS)
        spare = self._new_session(1)
        self._execute_on(spare, images, arrays, results)
        self._keep(spare)

    def _execute_on(self, session: Session, images: int, arrays: list[Array], results: list[Array]) -> int:
        record = self._resolved(session, images, arrays, results)
        code = session.execute(shim().function("execute", record))
        if code not in (0, BUSY):
            raise NativeError(self._explain(code, session))
        return code

    def _keep(self, spare: Session) -> None:
        """Let later calls use this session as well, unless the model has been closed meanwhile.

        All links are made again, so that none is missing when two threads are here at the same time.
        """
        self._sessions.append(spare)
        for session, after in itertools.pairwise(self._sessions):
            session.precede(after)
        if self._closed:
            spare.close()

    def _explain(self, code: int, session: Session) -> str:
        """One sentence for an error code of the ABI."""
        reason = abi.REASONS.get(code, "unknown error")
        if code == abi.ErrorCode.OUT_OF_BOUNDS:
            step = int(session.workspace[abi.FAULT_STEP :][: abi.WORD_BYTES].view(np.uint32)[0]) - 1
            known = 0 <= step < len(self._executable.steps)
            reason += f" in step {step}" + (f" ({self._executable.steps[step]})" if known else "")
        return f"model '{self.name}': native code returned error {code}: {reason}"

    def _new_session(self, shards: int) -> Session:
        executable = self._executable
        packed = self._weights
        weights = packed.ctypes.data if packed is not None else self._code.address(executable.weights_symbol)
        size = executable.workspace_bytes(shards)
        workspace = allocated(size, lambda: aligned(size), lambda: f"the workspace of model '{executable.name}'")
        owners, measures = (self._code, self._weights), executable.sharing == "cost"
        run, fingerprint = self._code.address(f"{executable.symbol}_run"), executable.fingerprint
        return Session(run, fingerprint, weights, workspace, shards, owners, measures=measures)

    def _aligned_weights(self) -> Array:
        weights = self._executable.weights
        name = self._executable.name
        return allocated(len(weights), lambda: aligned_bytes(weights), lambda: f"the weights of model '{name}'")

    def _first_state(self) -> Array:
        """The block of all states with their first values."""
        executable, size = self._executable, self._executable.state_bytes
        block = allocated(size, lambda: aligned(size), lambda: f"the states of model '{executable.name}'")
        if size:
            first: Any = executable.initial_state
            if not first:
                first = ctypes.string_at(self._code.address(executable.state_symbol), size)
            block[:size] = np.frombuffer(first, np.uint8)
        return block

    def _state_of(self, other: Model) -> Array:
        """The block of another model, whose states have to be the same."""
        if other.executable.states != self._executable.states:
            raise UsageError(f"models '{other.name}' and '{self.name}' have not the same states")
        return other._state

    def _bound(self, images: int, arrays: list[Array], results: list[Array], answer: Any) -> Callable[[], Any]:
        def fallback() -> Any:
            self._execute(images, arrays, results)
            return answer

        if self._cycles(images) > LONG:
            return fallback
        record = self._resolved(self._session, images, arrays, results, result=answer, fallback=fallback)
        return shim().function("bound", record)

    def _resolved(
        self, session: Session, images: int, arrays: list[Array], results: list[Array], **objects: Any
    ) -> layout.KeepAlive:
        """A call with all addresses resolved; `objects` are Python objects that the shim returns or calls."""
        inputs = layout.pointers([array.ctypes.data for array in arrays])
        outputs = layout.pointers([array.ctypes.data for array in (*results, self._state)])
        record = layout.CallRecord(
            session=session.address,
            inputs=ctypes.addressof(inputs),
            outputs=ctypes.addressof(outputs),
            images=images,
            **{name: id(value) for name, value in objects.items()},
        )
        return layout.KeepAlive.of(record, session, inputs, outputs, arrays, results, self._state, objects)

    def _fast_record(self) -> layout.KeepAlive:
        """The record of `shim().call`: what arrays it accepts."""
        table, owners = port_table(self._executable)
        empty = empty_function()
        record = layout.CallRecord(
            session=self._session.address,
            ports=ctypes.addressof(table),
            empty=empty,
            several=id(self._kind),
            most_fresh=most_fresh(self._executable) if empty else -1,
            most=LONG * self._executable.images // max(1, self._executable.cycles),
            images=self._executable.images,
            n_in=len(self.inputs),
            n_out=len(self.outputs),
            state=self._state.ctypes.data,
            fewest=fewest(self._executable),
        )
        return layout.KeepAlive.of(record, self._session, table, self._state, owners, self._kind)

    def _answer(self, results: list[Array]) -> Result:
        return results[0] if len(results) == 1 else self._kind(results)


def _loaded(executable: Executable) -> Code:
    target = executable.target
    if not target.runs_on(host_target()):
        raise TargetError(f"this machine cannot run model '{executable.name}', compiled for '{target.name}'")
    return load_object(executable.object)


def _check_processor(code: Code, executable: Executable) -> None:
    check = ctypes.CFUNCTYPE(ctypes.c_int)(code.address(f"{executable.symbol}_check"))
    if check() != 0:
        raise TargetError(
            f"this processor cannot run model '{executable.name}', compiled for '{executable.target.name}'"
        )
