"""v0.9.9 to v2.6: `helpers`, implicit extension points around functions, the host's own caches."""

from autoperf.agentzero.layout import Layout

V0_9_9 = Layout(
    name="v0_9_9",
    generation="v0.9.9 - v2.6",
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
    existing_paths=None,
    load_from_file="helpers.modules:load_classes_from_file",
    load_from_folder="helpers.modules:load_classes_from_folder",
    importlib="helpers.modules:importlib",
    format_error="helpers.errors:format_error",
    mcp_get_tool="helpers.mcp_handler:MCPConfig.get_tool",
    mcp_has_tool="helpers.mcp_handler:MCPClientBase.has_tool",
    parse_reply="helpers.dirty_json:DirtyJson.parse",
    root_starts="helpers.extract_tools:_json_root_object_starts",
    shares_modules=False,
    extensible=True,
    optional=(
        "helpers.dirty_json:DirtyJson.parse",
        "helpers.extract_tools:_json_root_object_starts",
        "agent:Agent._execute_tool_request",
        "helpers.task_scheduler:TaskScheduler._run_task",
    ),
)
