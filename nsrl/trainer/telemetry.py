"""Telemetry reads a GPU through NVIDIA's management library: power, memory, utilisation, clocks, temperature.

Without a GPU, without the package nvidia-ml-py, or where the driver denies a reading, that reading is simply not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Telemetry:
    """`read()` gives the device's numbers now, under `gpu/...` keys; {} where there is nothing to read.

    index: the device's number as the driver counts, or its UUID (what CUDA_VISIBLE_DEVICES holds is not looked at);
    None watches nothing. library: pynvml, or a stand-in.
    """

    def __init__(self, index: int | str | None = 0, library: Any = None) -> None:
        self._handle = None
        self._nvml = library if library is not None else _pynvml()
        if index is None or self._nvml is None:
            return
        try:
            self._nvml.nvmlInit()
            by = (
                self._nvml.nvmlDeviceGetHandleByUUID
                if isinstance(index, str)
                else self._nvml.nvmlDeviceGetHandleByIndex
            )
            self._handle = by(index)
        except self._nvml.NVMLError:
            self._handle = None

    def read(self) -> dict[str, float]:
        """Watts, GiB, fractions, MHz and °C; a reading this device or driver does not offer is left out."""
        nvml, handle = self._nvml, self._handle
        if handle is None:
            return {}
        readings: dict[str, Callable[[], float]] = {
            "gpu/power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "gpu/memory_gib": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**30,
            "gpu/utilisation": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
            "gpu/memory_utilisation": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).memory / 100,
            "gpu/sm_clock_mhz": lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "gpu/memory_clock_mhz": lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            "gpu/temperature_c": lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        }
        found = {}
        for key, reading in readings.items():
            try:
                found[key] = reading()
            except nvml.NVMLError:
                continue
        return found

    def close(self) -> None:
        """Let the library go; `read` gives {} from here on."""
        if self._handle is not None:
            self._handle = None
            self._nvml.nvmlShutdown()


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml
