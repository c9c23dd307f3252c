"""Source code of the host, recognised by its digest."""

from autoperf.digests import digest as digest
from autoperf.digests import text_digest as text_digest
