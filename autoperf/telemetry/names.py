"""The one table of span names and attribute keys.

Source of everything under ``gen_ai`` and ``error``: OpenTelemetry semantic conventions for generative AI
(status Development) and for errors; of ``service``: resource conventions. ``autoperf`` is our own namespace.
"""

from __future__ import annotations

from typing import Final

# Span names: "{operation} {what}". GenAI conventions, spans for agents, tools and inference.
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"
CHAT: Final = "chat"

# Span names of our own, for work that the conventions have no name for.
TOOL_LOOKUP: Final = "tool_lookup"
EXTENSIONS: Final = "extensions"
INTERVENTION: Final = "intervention"
MESSAGE: Final = "user_message"  # the root: one user message and all that answers it
MCP_LOOKUP: Final = "mcp_lookup"

# Span kinds. OpenTelemetry trace API, SpanKind.
INTERNAL: Final = "internal"
CLIENT: Final = "client"
SERVER: Final = "server"
PRODUCER: Final = "producer"
CONSUMER: Final = "consumer"

# GenAI attributes.
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

# Errors: the class of the exception, never its text. General attributes, error.
ERROR_TYPE: Final = "error.type"

# Resource. Resource conventions, service and telemetry SDK.
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEFAULT_SERVICE: Final = "agent-zero"

# Our own attributes.
CUT_OFF: Final = "autoperf.cut_off"  # bool: the process ended before the span did
INTERRUPTED: Final = (
    "autoperf.interrupted"  # class name: cancelled or stopped from outside, which is no error
)
CACHE_HIT: Final = "autoperf.cache.hit"  # bool: found without loading
SOURCE_FILE: Final = "autoperf.source.file"  # base name of the file that was loaded
EXTENSION_POINT: Final = "autoperf.extension.point"
EXTENSION_COUNT: Final = "autoperf.extension.count"  # how many ran
BREAK_LOOP: Final = "autoperf.tool.break_loop"  # bool: the tool ended the turn
WAITED: Final = "autoperf.intervention.waited"  # seconds
RAISED: Final = "autoperf.intervention.raised"  # bool: a user's message was handed to the agent
