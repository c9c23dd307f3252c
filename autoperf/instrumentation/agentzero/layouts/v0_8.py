"""v0.8 to v0.9.2: `python.helpers`, tool and extension classes imported once and kept in `sys.modules`.

What differs from v0.9.3.
"""

from dataclasses import replace

from autoperf.instrumentation.agentzero.layouts.v0_9_3 import V0_9_3

_SETTINGS = ("version", "environment")
_SAME = ("tool", "throttle", "monitor", "tokens", "mcp-keep", "mcp-standby")

V0_8 = replace(
    V0_9_3,
    name="v0_8",
    generation="v0.8 - v0.9.2",
    releases=(
        "v0.8 v0.8.1 v0.8.1.1 v0.8.1.2 v0.8.2 v0.8.2.1 v0.8.3 v0.8.3.1 v0.8.4 v0.8.4.1 v0.8.4.2 "
        "v0.8.5 v0.8.5.1 v0.8.6 v0.8.7 v0.9.0 v0.9.1 v0.9.1.1 v0.9.1.2 v0.9.2"
    ),
    marks=(
        "agent:Agent.monologue",
        "agent:Agent.call_extensions",
        "python.helpers.extract_tools:load_classes_from_folder",
    ),
    call_extensions="agent:Agent.call_extensions",
    folder_extensions=None,
    load_from_file=None,
    importlib=None,
    shares_modules=True,
    langchain_chunks="models:parse_chunk",
    retry=None,
    optional=(
        "python.helpers.dirty_json:DirtyJson.parse",
        "python.helpers.history:History.compress",
        "python.helpers.memory:Memory.search_similarity_threshold",
        "agent:Agent.call_utility_model",
    ),
    since={
        "python.helpers.task_scheduler:TaskScheduler._run_task": "v0.8.3",
        "python.helpers.mcp_handler:MCPConfig.get_tool": "v0.8.5",
        "python.helpers.mcp_handler:MCPClientBase.has_tool": "v0.8.5",
        "python.helpers.mcp_handler:MCPClientBase._execute_with_session": "v0.8.5",
        "python.helpers.mcp_handler:MCPConfig.update": "v0.8.5",
        "models:LiteLLMChatWrapper.unified_call": "v0.9.1",
        "models:acompletion": "v0.9.1",
        "models:_parse_chunk": "v0.9.1",
        "models:LocalSentenceTransformerWrapper.__init__": "v0.9.1",
    },
    until={
        "models:parse_chunk": "v0.9.0",
    },
    reshaped={
        "python.helpers.dirty_json:DirtyJson.parse": "v0.8.5",
    },
    more={
        **{feature: V0_9_3.more[feature] for feature in _SAME},
        "paths": {"base": V0_9_3.more["paths"]["base"]},
        "settings": {name: V0_9_3.more["settings"][name] for name in _SETTINGS},
    },
)
