"""Custom ops whose arguments are NamedTuples: written once there, flattened here for torch.library's flat schemas.

An op is called `op(*inputs, *options)`; its body, fake and autograd get the structures back with `group`.
"""

from torch import Tensor

_TYPES = {
    Tensor: "Tensor", Tensor | None: "Tensor?", int: "SymInt", bool: "bool", str: "str", float: "float",
    float | None: "float?", tuple[float, ...]: "float[]",
}  # fmt: skip


def schema(*parts: type, returns: int, mutates: str = "") -> str:
    """The schema of a custom op that takes the fields of `parts` (NamedTuple classes) one after the other.

    Args:
        parts: whose fields are annotated with a type of the table above.
        returns: how many tensors come back.
        mutates: the field written in place, if any.

    Raises:
        ValueError: two parts have a field of one name.
    """
    fields = [(name, _TYPES[kind]) for part in parts for name, kind in part.__annotations__.items()]
    if len(dict(fields)) != len(fields):
        raise ValueError(f"an op's arguments must have one name each; got {[name for name, _ in fields]}")
    arguments = [f"{kind}(a!) {name}" if name == mutates else f"{kind} {name}" for name, kind in fields]
    return f"({', '.join(arguments)}) -> ({', '.join(['Tensor'] * returns)})"


def group(flat, *parts: type) -> list:
    """The flat arguments of an op as instances of `parts`."""
    flat = iter(flat)
    return [part(*(next(flat) for _ in part._fields)) for part in parts]


def gradients(*parts: type, **found) -> tuple:
    """What the backward of such an op returns: `found` by field, None for every other argument."""
    return tuple(found.get(name) for part in parts for name in part._fields)
