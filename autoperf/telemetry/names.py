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
STEP: Final = "step"  # one iteration of the agent's loop: prompt, model, tool
PREPARE_PROMPT: Final = "prepare_prompt"
SYSTEM_PROMPT: Final = "system_prompt"
EXTENSION: Final = "extension"  # one class of an extension point
RETRY: Final = "retry"  # the host waits after a failure before it tries the step again
COMPRESS_HISTORY: Final = "compress_history"
MEMORY_RECALL: Final = "memory_recall"
BACKGROUND: Final = "background"  # the root of what an extension set going beside the turn
SCHEDULED_TASK: Final = "scheduled_task"
MCP_SESSION: Final = "mcp_session"  # from opening a session to its end
MCP_CONNECT: Final = "mcp_connect"  # starting or reaching the server, up to the first operation
MCP_TOOLS_CALL: Final = "tools/call"
MCP_TOOLS_LIST: Final = "tools/list"

# What is left at the detail "turn"; only our own names have to be told from what may follow them.
OF_A_TURN: Final = frozenset(
    (
        MESSAGE,
        INVOKE_AGENT,
        CHAT,
        EXECUTE_TOOL,
        INTERVENTION,
        RETRY,
        BACKGROUND,
        SCHEDULED_TASK,
        MCP_SESSION,
        MCP_CONNECT,
        MCP_TOOLS_CALL,
    )
)

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
CONVERSATION_ID: Final = "gen_ai.conversation.id"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"  # bool
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"  # list of str
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # s
# Only what the provider itself reported; never a count of ours.
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # metrics only: input, output
# Content; only when OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for it.
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
# Cut by whoever captures them, and not again.
CONTENT: Final = frozenset(
    {INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS, TOOL_ARGUMENTS, TOOL_RESULT}
)

# Model Context Protocol attributes. Semantic conventions for MCP (status Development).
MCP_METHOD: Final = "mcp.method.name"

# Errors: the class of the exception, never its text. General attributes, error.
ERROR_TYPE: Final = "error.type"
MCP_TOOL_ERROR: Final = "tool_error"  # its value where an MCP tool answered with an error

# Resource. Resource conventions, service and telemetry SDK.
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEFAULT_SERVICE: Final = "agent-zero"

# Our own attributes.
OPEN: Final = "autoperf.open"  # bool: it goes on; how long it has taken is as of the last sign of life
CUT_OFF: Final = "autoperf.cut_off"  # bool: the process ended before the span did
INTERRUPTED: Final = (
    "autoperf.interrupted"  # class name: cancelled or stopped from outside, which is no error
)
CACHE_HIT: Final = "autoperf.cache.hit"  # bool: found without loading
SOURCE_FILE: Final = "autoperf.source.file"  # relative to the host's folder, or to the home directory as ~
STEP_NUMBER: Final = "autoperf.step.number"  # counted from 0 in each monologue, as the host does
# On a step, or outside of steps on the monologue or root: what was too short for spans, in three lists of the
# same length. A point holds its extensions.
SHORT_NAMES: Final = "autoperf.short.names"
SHORT_COUNTS: Final = "autoperf.short.counts"
SHORT_SECONDS: Final = "autoperf.short.seconds"
EXTENSION_POINT: Final = "autoperf.extension.point"
EXTENSION_CLASS: Final = "autoperf.extension.class"
BREAK_LOOP: Final = "autoperf.tool.break_loop"  # bool: the tool ended the turn
WAITED: Final = "autoperf.intervention.waited"  # seconds
RAISED: Final = "autoperf.intervention.raised"  # bool: a user's message was handed to the agent
COMPRESSED: Final = "autoperf.history.compressed"  # bool: messages were shortened or summed up
MODEL_ROLE: Final = "autoperf.model.role"  # chat or utility: what the host calls the model for
MCP_SERVER: Final = "autoperf.mcp.server"  # the server's name in the host's settings
MEMORY_RESULTS: Final = "autoperf.memory.results"  # how many memories were found
MODEL_REQUESTS: Final = "autoperf.model.requests"  # sent until one was answered; only when more than one
# Where the time of a chat span went, in seconds by the clock (the others are the thread's CPU seconds); on a
# root the sums over its model calls.
PROVIDER_SECONDS: Final = "autoperf.model.provider.seconds"  # waited for the provider while nothing ran
FRAMEWORK_SECONDS: Final = "autoperf.model.framework.seconds"  # the host's callbacks, and around its requests
FRAMEWORK_CPU: Final = "autoperf.model.framework.cpu_seconds"
PAUSED_SECONDS: Final = "autoperf.model.paused.seconds"  # suspended around its requests: rate limits, tries
CLIENT_SECONDS: Final = "autoperf.model.client.seconds"  # litellm, openai, sockets, TLS
CLIENT_CPU: Final = "autoperf.model.client.cpu_seconds"
LAYERS_OF_A_CALL: Final = (
    PROVIDER_SECONDS,
    FRAMEWORK_SECONDS,
    FRAMEWORK_CPU,
    PAUSED_SECONDS,
    CLIENT_SECONDS,
    CLIENT_CPU,
)
# On the root of an exported trace: what neither a span nor a measurement covers.
UNEXPLAINED_SECONDS: Final = "autoperf.unexplained.seconds"
# On a chat span: how the answer came in, and what the framework did between its chunks.
CHUNKS: Final = "autoperf.stream.chunks"
TOKENS_PER_SECOND: Final = "autoperf.stream.tokens_per_second"  # the provider's count, first to last chunk
CALLBACK_SECONDS: Final = "autoperf.stream.callback.seconds"  # in all callbacks together
# What took most of them: the extension, in its point, and the function, of which a callback counts without
# its extensions.
CALLBACK_EXTENSION: Final = "autoperf.stream.callback.extension"
CALLBACK_POINT: Final = "autoperf.stream.callback.extension_point"
CALLBACK_EXTENSION_SECONDS: Final = "autoperf.stream.callback.extension_seconds"
CALLBACK_FUNCTION: Final = "autoperf.stream.callback.function"
CALLBACK_FUNCTION_SECONDS: Final = "autoperf.stream.callback.function_seconds"
CALLBACK_SLOWEST: Final = "autoperf.stream.callback.slowest_seconds"  # in the longest single one
CALLBACK_SLOWEST_POINT: Final = "autoperf.stream.callback.slowest_extension_point"
CALLBACK_SLOWEST_EXTENSION: Final = "autoperf.stream.callback.slowest_extension"  # class names

# Instruments. GenAI client, agent and tool metrics; process metrics; the last group is our own.
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"  # s
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # {token}
FIRST_CHUNK_DURATION: Final = "gen_ai.client.operation.time_to_first_chunk"  # s
EXECUTE_TOOL_DURATION: Final = "gen_ai.execute_tool.duration"  # s
INVOKE_AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"  # s
LOOP_LAG: Final = "autoperf.event_loop.lag"  # s: how late the loop comes to what another thread asks of it
CPU_UTILIZATION: Final = "process.cpu.utilization"  # 1: share of the CPUs this process may use
MEMORY_USAGE: Final = "process.memory.usage"  # By: resident
THREAD_COUNT: Final = "process.thread.count"
# Before the conventions renamed it: process.open_file_descriptor.count.
OPEN_FILES: Final = "process.unix.file_descriptor.count"
CONTEXT_SWITCHES: Final = "process.context_switches"
CACHE_HITS: Final = "autoperf.cache.hits"
CACHE_MISSES: Final = "autoperf.cache.misses"
CACHE_EVICTIONS: Final = "autoperf.cache.evictions"  # for want of room
CACHE_SIZE: Final = "autoperf.cache.size"
# s: at every hit, the measured time of the same entry's own load with its file in the system's cache.
CACHE_SAVED: Final = "autoperf.cache.saved"
EXTENSION_CALLS: Final = "autoperf.extension.calls"
INTERVENTION_CHECKS: Final = "autoperf.intervention.checks"
INTERVENTION_WAITS: Final = "autoperf.intervention.waits"
INTERVENTION_RAISES: Final = "autoperf.intervention.raises"

# Attributes of metrics only. Process conventions; the others are our own.
CPU_MODE: Final = "cpu.mode"  # user, system
CONTEXT_SWITCH_TYPE: Final = "process.context_switch.type"  # voluntary, involuntary
CACHE_NAME: Final = "autoperf.cache.name"
LOOP_THREAD: Final = "autoperf.event_loop.thread"  # the thread's name, without its number
