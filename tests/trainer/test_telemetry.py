"""Telemetry against a stand-in for the driver's library: units, missing readings, no device."""

import pytest

from nsrl.trainer.telemetry import Telemetry


class Nvml:
    """As much of pynvml as is used; clocks are denied, as in some containers."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    class NVMLError(Exception):
        pass

    def __init__(self, devices=("GPU-a", "GPU-b")):
        self.devices, self.open = devices, 0

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index):
        if index >= len(self.devices):
            raise self.NVMLError
        return self.devices[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return self.nvmlDeviceGetHandleByIndex(self.devices.index(uuid))

    def nvmlDeviceGetPowerUsage(self, handle):
        return {"GPU-a": 100_000, "GPU-b": 650_500}[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return type("Memory", (), {"used": 3 * 2**30})

    def nvmlDeviceGetUtilizationRates(self, handle):
        return type("Rates", (), {"gpu": 87, "memory": 40})

    def nvmlDeviceGetClockInfo(self, handle, kind):
        raise self.NVMLError

    def nvmlDeviceGetTemperature(self, handle, kind):
        return 61


def test_units_and_denied_readings():
    nvml = Nvml()
    telemetry = Telemetry("GPU-b", nvml)
    assert telemetry.read() == {
        "gpu/power_w": 650.5,
        "gpu/memory_gib": 3.0,
        "gpu/utilisation": 0.87,
        "gpu/memory_utilisation": 0.4,
        "gpu/temperature_c": 61.0,
    }
    telemetry.close()
    assert nvml.open == 0 and telemetry.read() == {}


@pytest.mark.parametrize("index", [None, 7])
def test_nothing_to_watch(index):
    assert Telemetry(index, Nvml()).read() == {}


def test_the_metrics_of_the_clock_include_them():
    from nsrl.trainer.metrics import CLOCK_KEYS

    assert all(key.startswith(CLOCK_KEYS) for key in Telemetry("GPU-a", Nvml()).read())
