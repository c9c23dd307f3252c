"""v0.9.9 to v2.6: `helpers`, implicit extension points around functions, the host's own caches."""

from autoperf.instrumentation.agentzero.layout import Layout

_MCP = {
    "session": "helpers.mcp_handler:MCPClientBase._execute_with_session",
    "update": "helpers.mcp_handler:MCPConfig.update",
    "settings": "helpers.settings:_apply_settings",
    "project": "helpers.mcp_handler:MCPConfig.get_project_instance",
}

V0_9_9 = Layout(
    name="v0_9_9",
    generation="v0.9.9 - v2.6",
    releases=(
        "v0.9.9 v0.9.9.1 v0.9.9.2 v0.9.9.3 v0.9.9.4 v0.9.9.5 v1.0 v1.1 v1.2 v1.3 v1.4 v1.5 v1.6 "
        "v1.7 v1.9 v1.10 v1.12 v1.13 v1.14 v1.15 v1.17 v1.18 v1.19 v1.20 v2.0 v2.1 v2.2 v2.3 v2.4 "
        "v2.5 v2.6"
    ),
    marks=(
        "agent:Agent.monologue",
        "helpers.extension:call_extensions_async",
        "helpers.extension:extensible",
        "helpers.modules:load_classes_from_file",
    ),
    get_tool="agent:Agent.get_tool",
    process_message="agent:AgentContext._process_chain",
    monologue="agent:Agent.monologue",
    prepare_prompt="agent:Agent.prepare_prompt",
    system_prompt="agent:Agent.get_system_prompt",
    scheduled_task="helpers.task_scheduler:TaskScheduler._run_task",
    process_tools=("agent:Agent.process_tools", "agent:Agent._execute_tool_request"),
    handle_intervention="agent:Agent.handle_intervention",
    call_extensions="helpers.extension:call_extensions_async",
    call_extensions_sync="helpers.extension:call_extensions_sync",
    make_extension="helpers.extension:Extension.__init__",
    folder_extensions=None,
    load_from_file="helpers.modules:load_classes_from_file",
    load_from_folder="helpers.modules:load_classes_from_folder",
    importlib="helpers.modules:importlib",
    format_error="helpers.errors:format_error",
    mcp_get_tool="helpers.mcp_handler:MCPConfig.get_tool",
    mcp_has_tool="helpers.mcp_handler:MCPClientBase.has_tool",
    parse_reply="helpers.dirty_json:DirtyJson.parse",
    root_starts="helpers.extract_tools:_json_root_object_starts",
    mcp_session="helpers.mcp_handler:MCPClientBase._execute_with_session",
    compress_history="helpers.history:History.compress",
    recall_memory=(
        "plugins._memory.helpers.memory:Memory.search_similarity_threshold",
        "plugins._memory.helpers.memory:Memory.search_similarity_threshold_with_scores",
    ),
    shares_modules=False,
    extensible=True,
    model_calls=("models:LiteLLMChatWrapper.unified_call", "models:LiteLLMChatWrapper.unified_turn"),
    model_requests=(
        "models:acompletion",
        "helpers.litellm_transport:acompletion",
        "helpers.litellm_transport:aresponses",
    ),
    model_chunks=("models:_parse_chunk", "helpers.litellm_transport:ChatCompletionsTransport.parse"),
    model_events="helpers.litellm_transport:ResponsesEventParser.parse",
    chat_calls=("agent:Agent.call_chat_model", "agent:Agent.call_chat_model_turn"),
    utility_calls=("agent:Agent.call_utility_model",),
    optional=(
        "helpers.dirty_json:DirtyJson.parse",
        "helpers.history:History.compress",
        "plugins._memory.helpers.memory:Memory.search_similarity_threshold",
        "helpers.task_scheduler:TaskScheduler._run_task",
        "models:LiteLLMChatWrapper.unified_call",
        "agent:Agent.call_chat_model",
        "agent:Agent.call_utility_model",
    ),
    since={
        "plugins._memory.helpers.memory:Memory.search_similarity_threshold_with_scores": "v1.9",
        "plugins._oauth.helpers.codex:status": "v1.10",
        "agent:Agent._execute_tool_request": "v2.0",
        "agent:Agent.call_chat_model_turn": "v2.0",
        "models:LiteLLMChatWrapper.unified_turn": "v2.0",
        "helpers.litellm_transport:acompletion": "v2.0",
        "helpers.litellm_transport:aresponses": "v2.0",
        "helpers.litellm_transport:ChatCompletionsTransport.parse": "v2.0",
        "helpers.litellm_transport:ResponsesEventParser.parse": "v2.0",
        "helpers.litellm_transport:LiteLLMTransport.astream": "v2.0",
        "helpers.responses_tools:build_responses_function_tools": "v2.0",
        "helpers.mcp_handler:MCPConfig.get_project_instance": "v2.0",
        "helpers.extract_tools:_json_root_object_starts": "v2.2",
    },
    until={
        "models:acompletion": "v1.20",
        "models:_parse_chunk": "v1.20",
        "helpers.print_style:PrintStyle._log_html": "v2.4",
    },
    reshaped={
        "plugins._model_config.helpers.model_config:get_presets": "v2.5",
        "plugins._oauth.helpers.codex:status": "v2.4",
    },
    newest=True,
    more={
        "tool": {
            "prompt": "agent:Agent.read_prompt",
            "functions": "helpers.responses_tools:build_responses_function_tools",
        },
        "extensions": {
            "extensible": "helpers.extension:extensible",
        },
        "throttle": {
            "call": "models:LiteLLMChatWrapper.unified_call",
            "call_turn": "models:LiteLLMChatWrapper.unified_turn",
            "answer": "models:acompletion",
            "stream": "helpers.litellm_transport:LiteLLMTransport.astream",
            "check": "agent:Agent.handle_intervention",
        },
        "monitor": {
            "local_embeddings": "models:LocalSentenceTransformerWrapper.__init__",
        },
        "paths": {
            "get_paths": "helpers.subagents:get_paths",
            "exists": "helpers.files:exists",
            "by_pattern": "helpers.files:find_existing_paths_by_pattern",
        },
        "settings": {
            "yaml": "helpers.yaml:loads",
            "frontmatter": "helpers.skills:parse_frontmatter",
            "release": "helpers.git:get_repo_release_info",
            "environment": "helpers.dotenv:get_dotenv_value",
            "get_settings": "helpers.settings:get_settings",
            "asset": "helpers.plugins:find_plugin_assets",
            "presets": "plugins._model_config.helpers.model_config:get_presets",
            "account": "plugins._oauth.helpers.codex:status",
        },
        "tokens": {
            "count": "helpers.tokens:count_tokens",
        },
        "prompts": {
            "read": "helpers.files:read_prompt_file",
            "parse": "helpers.files:parse_file",
            "find": "helpers.files:find_file_in_dirs",
            "variables": "helpers.files:load_plugin_variables",
            "names": "helpers.files:get_unique_filenames_in_dirs",
            "discover_skills": "helpers.skills:discover_skill_md_files",
            "parse_skill": "helpers.skills:skill_from_markdown",
        },
        "output": {
            "mask_method": "helpers.log:Log._mask_recursive",
            "includes": "helpers.strings:replace_file_includes",
        },
        "startup": {
            "refresh": "helpers.watchdog:_WatchRegistry._refresh_observer",
            "add": "helpers.watchdog:_WatchRegistry.add",
            "remove": "helpers.watchdog:_WatchRegistry.remove",
            "clear": "helpers.watchdog:_WatchRegistry.clear",
        },
        "mcp-keep": _MCP,
        "mcp-standby": _MCP,
    },
)
