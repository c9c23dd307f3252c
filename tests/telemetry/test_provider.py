"""Our provider beside the host: what the SDK does to the process as a whole is left out."""

from __future__ import annotations

import warnings

from autoperf.telemetry import provider


def test_a_tracer_leaves_the_warning_filters_of_the_process_alone() -> None:
    before = list(warnings.filters)
    provider._Provider(shutdown_on_exit=False).get_tracer(provider.SCOPE)
    assert list(warnings.filters) == before
