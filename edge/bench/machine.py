"""Say what computer this is: chip, memory, bandwidth, operating system, and whether it saves power.

Everything here asks the system politely: what cannot be found out is left out, and nothing fails.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx

from edge.records import dataclass

GB = 1e9
CHIP_GB_PER_S = {
    "M1": 68, "M1 Pro": 200, "M1 Max": 400, "M1 Ultra": 800,
    "M2": 100, "M2 Pro": 200, "M2 Max": 400, "M2 Ultra": 800,
    "M3": 100, "M3 Pro": 150, "M3 Max": 400, "M3 Ultra": 819,
    "M4": 120, "M4 Pro": 273, "M4 Max": 546,
    "M5": 153,
}  # fmt: skip
"""Bandwidth of memory as Apple states it, in GB/s; of chips sold in two forms the faster one's."""
_QUERY_S = 5.0
_COPY_BYTES = 2**28

Ask = Callable[[list[str]], str | None]


@dataclass(frozen=True, slots=True)
class Machine:
    """A computer.

    Attributes:
        chip: Name of what computes.
        system: Operating system with its version.
        memory_bytes: Of the computer, or of its GPU where that has its own.
        power: Power state, such as "on battery"; empty where it is not known.
        stated_gb_per_s: Bandwidth as its maker states it; None where it is not known.
    """

    chip: str
    system: str
    memory_bytes: int
    power: str = ""
    stated_gb_per_s: float | None = None

    def line(self) -> str:
        """Say it in one line."""
        parts = [self.chip, f"{self.memory_bytes / GB:.0f} GB", self.system, self.power]
        if self.stated_gb_per_s is not None:
            parts.append(f"{self.stated_gb_per_s:.0f} GB/s stated")
        return ", ".join(part for part in parts if part)

    def as_dict(self) -> dict[str, str | float | None]:
        """Say it as JSON values."""
        return {
            "chip": self.chip,
            "system": self.system,
            "memory_bytes": self.memory_bytes,
            "power": self.power,
            "stated_gb_per_s": self.stated_gb_per_s,
        }


def ask_system(command: list[str]) -> str | None:
    """Run a short query of the system; None if it is not there, fails, or takes long."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_QUERY_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def this_machine(ask: Ask = ask_system, *, system: str = sys.platform) -> Machine:
    """Describe this computer.

    Args:
        ask: Runs a query of the system; for tests.
        system: As `sys.platform`; for tests.
    """
    if system == "darwin":
        return _mac(ask)
    on_gpu = mx.default_device().type == mx.DeviceType.gpu
    name = f"{platform.system()} {platform.release()}"
    if on_gpu:
        info = mx.device_info()
        return Machine(str(info.get("device_name", "GPU")), name, int(info.get("memory_size", _host_bytes())))
    return Machine(_cpu_name() or platform.machine(), name, _host_bytes())


def measured_gb_per_s() -> float:
    """Measure how fast memory is read and written: the best of some copies of 256 MiB."""
    source = mx.zeros((_COPY_BYTES // 4,), dtype=mx.float32)
    mx.eval(source)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        mx.eval(source + 1)
        best = max(best, 2 * _COPY_BYTES / (time.perf_counter() - started) / GB)
    return best


def _mac(ask: Ask) -> Machine:
    chip = ask(["sysctl", "-n", "machdep.cpu.brand_string"]) or "Apple chip"
    memory = ask(["sysctl", "-n", "hw.memsize"]) or ""
    version = ask(["sw_vers", "-productVersion"])
    return Machine(
        chip=chip,
        system=f"macOS {version}" if version else "macOS",
        memory_bytes=int(memory) if memory.isdigit() else _host_bytes(),
        power=_mac_power(ask),
        stated_gb_per_s=CHIP_GB_PER_S.get(chip.removeprefix("Apple ")),
    )


def _mac_power(ask: Ask) -> str:
    """Say what slows a Mac down: battery, low power mode."""
    source, settings = ask(["pmset", "-g", "batt"]) or "", ask(["pmset", "-g"]) or ""
    parts = []
    if source:
        parts.append("on battery" if "Battery Power" in source else "on mains")
    if re.search(r"^\s*(lowpowermode|powermode)\s+1\b", settings, re.MULTILINE):
        parts.append("low power mode")
    return ", ".join(parts)


def _cpu_name() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else None


def _host_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)
