"""Watches the process from a thread of its own: CPU, memory, children, limits, and stalls of event loops."""

from autoperf.monitor.monitor import Monitor
from autoperf.monitor.readings import Readings
from autoperf.monitor.samples import Archive
from autoperf.monitor.stalls import Stall, Stalls

__all__ = ["Archive", "Monitor", "Readings", "Stall", "Stalls"]
