"""What a pickle would call, found out without calling it.

A pickle is a program: loading a stranger's ``.pth`` the plain way runs what its author wished. Here the program is run by an unpickler
that hands out inert stand-ins for the few names a weight file needs, and refuses every other name before it is even imported.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from typing import Any, BinaryIO

# What torch's own weights_only reader knows, written out so that the rule does not change with torch's version.
TENSOR_NAMES = {
    "collections.OrderedDict",
    "collections.Counter",
    "_codecs.encode",
    "builtins.set",
    "builtins.bytearray",
    "builtins.complex",
    "torch.Size",
    "torch.Tensor",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
}
TENSOR_NAMES |= {
    f"torch.{kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat", "ComplexDouble")
}
TENSOR_NAMES |= {"torch.storage.TypedStorage", "torch.storage.UntypedStorage"}
TENSOR_NAMES |= {
    f"torch.{kind}"
    for kind in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128")
}

# Numbers of numpy, which training programs leave beside the weights ("best PSNR", "iteration"). Under numpy 2 the module was renamed.
NUMPY_NAMES = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"}

ALLOWED = TENSOR_NAMES | NUMPY_NAMES

# Arrays of numpy, which stand in no weight file, but in published statistics.
ARRAY_NAMES = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray"}

# torch.save's first object in the format before 1.6: the number 0x1950a86a20f9469cfc6c, alone in a pickle.
LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


class ForbiddenName(pickle.UnpicklingError):
    """The pickle asks for something that is not on the allow-list; `name` is what ("posix.system")."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def inspect(stream: BinaryIO, arrays: bool = False) -> tuple[Any, set[str]]:
    """Walk the next pickle of `stream`: (its outline with inert stand-ins, the allowed names it uses). arrays: also those of numpy.

    Raises ForbiddenName for the first name off the allow-list, pickle.UnpicklingError, EOFError or another exception where it is damaged.
    """
    walker = _Inspector(stream, ALLOWED | ARRAY_NAMES if arrays else ALLOWED)
    return walker.load(), walker.names


def is_pickle(data: bytes) -> bool:
    """Whether all opcodes up to a STOP make sense; nothing is run. A text file fails at its first letters."""
    try:
        return any(op.name == "STOP" for op, _, _ in pickletools.genops(io.BytesIO(data)))
    except Exception:
        return False


class _Inert:
    """Stands for anything a pickle builds: it can be called, filled and given attributes, and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> _Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        pass


class _Inspector(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, allowed: set[str]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.names: set[str] = set()
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        # Python 2's pickles call this module so; the plain unpickler translates in the same way.
        full = full.replace("__builtin__.", "builtins.", 1)
        if full not in self.allowed:
            raise ForbiddenName(full)
        self.names.add(full)
        return OrderedDict if full == "collections.OrderedDict" else _Inert

    def persistent_load(self, pid: Any) -> Any:
        return _Inert()
