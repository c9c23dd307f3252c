"""The known generations, newest first."""

from autoperf.instrumentation.agentzero.layouts.v0_8 import V0_8
from autoperf.instrumentation.agentzero.layouts.v0_9_3 import V0_9_3
from autoperf.instrumentation.agentzero.layouts.v0_9_9 import V0_9_9

LAYOUTS = (V0_9_9, V0_9_3, V0_8)
