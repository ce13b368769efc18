"""Constants as arrays of the same library, dtype and device as another array, made once.

On an accelerator making one is a copy that waits for all work launched before it: a step with some of them would leave
the device idle that often.
"""

from functools import cache
from typing import Any

from array_api_compat import array_namespace

Array = Any  # numpy.ndarray or torch.Tensor


def constant_like(array: Array, values: tuple[Any, ...], dtype: Any = None) -> Array:
    """``values`` (nested tuples of numbers) on the device of ``array``, and of its dtype unless another is given.

    The same array is returned every time: never write to it.
    """
    return _constant(array_namespace(array), values, dtype or array.dtype, getattr(array, "device", None))


@cache
def _constant(xp: Any, values: tuple[Any, ...], dtype: Any, device: Any) -> Array:
    return xp.asarray(values, dtype=dtype, device=device)
