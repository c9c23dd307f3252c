"""v0.8 to v0.9.2: `python.helpers`, tool and extension classes imported once and kept in `sys.modules`."""

from autoperf.instrumentation.agentzero.layout import Layout

_MCP = {
    "session": "python.helpers.mcp_handler:MCPClientBase._execute_with_session",
    "update": "python.helpers.mcp_handler:MCPConfig.update",
    "settings": "python.helpers.settings:_apply_settings",
}

V0_8 = Layout(
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
    get_tool="agent:Agent.get_tool",
    process_message="agent:AgentContext._process_chain",
    monologue="agent:Agent.monologue",
    prepare_prompt="agent:Agent.prepare_prompt",
    system_prompt="agent:Agent.get_system_prompt",
    scheduled_task="python.helpers.task_scheduler:TaskScheduler._run_task",
    process_tools=("agent:Agent.process_tools",),
    handle_intervention="agent:Agent.handle_intervention",
    call_extensions="agent:Agent.call_extensions",
    call_extensions_sync=None,
    make_extension="python.helpers.extension:Extension.__init__",
    folder_extensions=None,
    load_from_file=None,
    load_from_folder="python.helpers.extract_tools:load_classes_from_folder",
    importlib=None,
    format_error="python.helpers.errors:format_error",
    mcp_get_tool="python.helpers.mcp_handler:MCPConfig.get_tool",
    mcp_has_tool="python.helpers.mcp_handler:MCPClientBase.has_tool",
    parse_reply="python.helpers.dirty_json:DirtyJson.parse",
    root_starts=None,
    mcp_session="python.helpers.mcp_handler:MCPClientBase._execute_with_session",
    compress_history="python.helpers.history:History.compress",
    recall_memory=("python.helpers.memory:Memory.search_similarity_threshold",),
    shares_modules=True,
    extensible=False,
    model_calls=("models:LiteLLMChatWrapper.unified_call",),
    model_requests=("models:acompletion",),
    model_chunks=("models:_parse_chunk",),
    langchain_chunks="models:parse_chunk",
    chat_calls=("agent:Agent.call_chat_model",),
    utility_calls=("agent:Agent.call_utility_model",),
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
        "tool": {
            "prompt": "agent:Agent.read_prompt",
        },
        "throttle": {
            "call": "models:LiteLLMChatWrapper.unified_call",
            "answer": "models:acompletion",
            "check": "agent:Agent.handle_intervention",
        },
        "monitor": {
            "local_embeddings": "models:LocalSentenceTransformerWrapper.__init__",
        },
        "paths": {
            "base": "python.helpers.files:get_base_dir",
        },
        "settings": {
            "version": "python.helpers.git:get_git_info",
            "environment": "python.helpers.dotenv:get_dotenv_value",
        },
        "tokens": {
            "count": "python.helpers.tokens:count_tokens",
        },
        "mcp-keep": _MCP,
        "mcp-standby": _MCP,
    },
)
