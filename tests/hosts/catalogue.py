"""Every scenario of a generation, in the order in which they are driven."""

import catalogue_errors
import catalogue_extensible
import catalogue_extensions
import catalogue_heavy
import catalogue_interventions
import catalogue_names
import catalogue_paths
import catalogue_settings
import catalogue_streams
import catalogue_throttle
import catalogue_tools
from generations import Generation
from scenario import Scenario

GROUPS = (
    catalogue_tools,
    catalogue_names,
    catalogue_paths,
    catalogue_interventions,
    catalogue_extensions,
    catalogue_errors,
    catalogue_streams,
    catalogue_extensible,
    catalogue_settings,
    catalogue_throttle,
    catalogue_heavy,
)


def scenarios(gen: Generation) -> list[Scenario]:
    return [scenario for group in GROUPS for scenario in group.scenarios(gen)]
