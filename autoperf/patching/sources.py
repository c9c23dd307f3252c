"""Source code of the host, recognised by its digest."""

from autoperf.patching.digests import digest as digest
from autoperf.patching.digests import group_digest as group_digest
from autoperf.patching.digests import text_digest as text_digest
