"""v0.8 to v0.9.2: `python.helpers`, tool and extension classes imported once and kept in `sys.modules`."""

from autoperf.agentzero.layout import Layout

V0_8 = Layout(
    name="v0_8",
    generation="v0.8 - v0.9.2",
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
    existing_paths=None,
    load_from_file=None,
    load_from_folder="python.helpers.extract_tools:load_classes_from_folder",
    importlib=None,
    format_error="python.helpers.errors:format_error",
    mcp_get_tool="python.helpers.mcp_handler:MCPConfig.get_tool",
    mcp_has_tool="python.helpers.mcp_handler:MCPClientBase.has_tool",
    parse_reply="python.helpers.dirty_json:DirtyJson.parse",
    root_starts=None,
    shares_modules=True,
    extensible=False,
    optional=(
        "python.helpers.dirty_json:DirtyJson.parse",
        "python.helpers.task_scheduler:TaskScheduler._run_task",
    ),
)
