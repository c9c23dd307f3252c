"""v0.9.3 to v0.9.8.3: `python.helpers`, tools executed at every call, extensions kept for ever."""

from autoperf.agentzero.layout import Layout

V0_9_3 = Layout(
    name="v0_9_3",
    generation="v0.9.3 - v0.9.8",
    marks=(
        "agent:Agent.monologue",
        "python.helpers.extension:call_extensions",
        "python.helpers.extract_tools:load_classes_from_file",
    ),
    get_tool="agent:Agent.get_tool",
    process_message="agent:AgentContext._process_chain",
    monologue="agent:Agent.monologue",
    prepare_prompt="agent:Agent.prepare_prompt",
    system_prompt="agent:Agent.get_system_prompt",
    scheduled_task="python.helpers.task_scheduler:TaskScheduler._run_task",
    process_tools=("agent:Agent.process_tools",),
    handle_intervention="agent:Agent.handle_intervention",
    call_extensions="python.helpers.extension:call_extensions",
    call_extensions_sync=None,
    make_extension="python.helpers.extension:Extension.__init__",
    folder_extensions="python.helpers.extension:_get_extensions",
    existing_paths="python.helpers.subagents:get_paths",
    load_from_file="python.helpers.extract_tools:load_classes_from_file",
    load_from_folder="python.helpers.extract_tools:load_classes_from_folder",
    importlib="python.helpers.extract_tools:importlib",
    format_error="python.helpers.errors:format_error",
    mcp_get_tool="python.helpers.mcp_handler:MCPConfig.get_tool",
    mcp_has_tool="python.helpers.mcp_handler:MCPClientBase.has_tool",
    parse_reply="python.helpers.dirty_json:DirtyJson.parse",
    root_starts=None,
    shares_modules=False,
    extensible=False,
    optional=(
        "python.helpers.dirty_json:DirtyJson.parse",
        "python.helpers.subagents:get_paths",
        "python.helpers.task_scheduler:TaskScheduler._run_task",
    ),
)
