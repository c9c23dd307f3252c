"""The agent: the loop that turns replies of a model into tool calls until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from helpers import extension, extract_tools, files, history, subagents
from helpers.chat import AgentConfig, Chat, LoopData, UserMessage
from helpers.defer import DeferredTask
from helpers.dirty_json import DirtyJson
from helpers.errors import InterventionException
from helpers.llm_result import LLMResult
from helpers.memory import Memory

__all__ = ["Agent", "AgentConfig", "AgentContext", "LoopData", "UserMessage"]


class AgentContext(Chat):
    """One chat: its first agent, and the task that is working on it."""

    def __init__(self, config: AgentConfig, id: str | None = None, agent0: Agent | None = None) -> None:
        super().__init__(config, id)
        self.task: DeferredTask | None = None
        self.streaming_agent: Agent | None = None
        self.agent0 = agent0 or Agent(0, config, self)

    @extension.extensible
    def communicate(self, msg: UserMessage) -> DeferredTask:
        """Hand a message to the chat: to the agent at work as an intervention, otherwise as a new turn."""
        self.paused = False
        current_agent = self.streaming_agent or self.agent0
        if self.task and self.task.is_alive():
            current_agent.intervention = msg
            return self.task
        return self.run_task(self._process_chain, current_agent, msg)

    @extension.extensible
    def run_task(self, func: Callable[..., Coroutine[Any, Any, str]], *args: Any) -> DeferredTask:
        """Run a coroutine in the thread that all chats share."""
        self.task = self.task or DeferredTask(thread_name=type(self).__name__)
        return self.task.start_task(func, *args)

    @extension.extensible
    async def _process_chain(self, agent: Agent, msg: UserMessage) -> str:
        agent.hist_add_user_message(msg)
        answer: str = await agent.monologue()
        await extension.call_extensions_async("process_chain_end", agent=agent, data={})
        return answer


class Agent(Memory):
    """One agent of a chat; subordinates are further ones, with a history of their own."""

    DATA_NAME_SUPERIOR = "_superior"
    DATA_NAME_SUBORDINATE = "_subordinate"

    @extension.extensible
    def __init__(self, number: int, config: AgentConfig, context: AgentContext | None = None) -> None:
        self.config = config
        self.number = number
        self.agent_name = f"A{number}"
        self.context = AgentContext(config, agent0=self) if context is None else context
        self.intervention: UserMessage | None = None
        self.remember_nothing()
        extension.call_extensions_sync("agent_init", self)

    @extension.extensible
    async def monologue(self) -> str:
        """Work on the last user message, step by step, until there is an answer; return it."""
        while True:
            try:
                question = self.last_user_message
                self.loop_data = LoopData(user_message=question)
                await extension.call_extensions_async("monologue_start", self, loop_data=self.loop_data)
                while True:
                    answer = await self._message_loop_step()
                    if answer:
                        return answer
            except Exception as error:
                await self.handle_exception("monologue", error)
            finally:
                self.context.streaming_agent = None
                await self._call_unless_killed("monologue_end")

    async def _message_loop_step(self) -> str | None:
        self.context.streaming_agent = self
        self.loop_data.iteration += 1
        self.loop_data.params_temporary = {}
        try:
            await extension.call_extensions_async("message_loop_start", self, loop_data=self.loop_data)
            await self.handle_intervention()
            messages = await self.prepare_prompt(loop_data=self.loop_data)
            await extension.call_extensions_async("before_main_llm_call", self, loop_data=self.loop_data)
            await self.handle_intervention()
            llm_result = await self.call_chat_model_turn(messages, response_callback=self._stream_callback)
            await self.handle_intervention(llm_result.response)
            await extension.call_extensions_async("response_stream_end", self, loop_data=self.loop_data)
            await self.handle_intervention(llm_result.response)
            repeated = llm_result.response == self.loop_data.last_response
            self.hist_add_ai_response(llm_result.response)
            if repeated:
                # Doing the same again would bring the same answer, for ever.
                self.hist_add_warning(self.read_prompt("fw.msg_repeat.md"))
                return None
            return await self.process_llm_result_tools(llm_result)
        except Exception as error:
            await self.handle_exception("message_loop", error)
            return None
        finally:
            await self._call_unless_killed("message_loop_end")

    async def _call_unless_killed(self, extension_point: str) -> None:
        if self.context.task and self.context.task.is_alive():
            await extension.call_extensions_async(extension_point, self, loop_data=self.loop_data)

    async def _stream_callback(self, chunk: str, full: str) -> str | None:
        """Follow a reply as it grows; returning a text ends it there."""
        await self.handle_intervention()
        stream_data = {"chunk": chunk, "full": full}
        request = extract_tools.extract_tool_request(full)
        if request is not None:
            await self.validate_tool_request(request)
            await self.handle_response_stream(full)
            return full.strip()
        details = {"loop_data": self.loop_data, "stream_data": stream_data}
        await extension.call_extensions_async("response_stream_chunk", self, **details)
        shown = stream_data["full"]
        await self.handle_response_stream(shown)
        return None

    async def handle_response_stream(self, stream: str) -> None:
        """Show extensions what the growing reply already says."""
        await self.handle_intervention()
        if len(stream) < 25:
            return
        try:
            parsed = DirtyJson.parse_string(stream)
        except Exception:  # what is not yet JSON
            return
        if isinstance(parsed, dict):
            details = {"loop_data": self.loop_data, "text": stream, "parsed": parsed}
            await extension.call_extensions_async("response_stream", self, **details)

    @extension.extensible
    async def prepare_prompt(self, loop_data: LoopData) -> list[dict[str, str]]:
        """Return the messages for the model: the system prompt, the history, and what extensions add."""
        await extension.call_extensions_async("message_loop_prompts_before", self, loop_data=loop_data)
        loop_data.system = await self.get_system_prompt(loop_data)
        told = self.history.output()
        loop_data.history_output = told
        await extension.call_extensions_async("message_loop_prompts_after", self, loop_data=loop_data)
        extras = {**loop_data.extras_persistent, **loop_data.extras_temporary}
        loop_data.extras_temporary.clear()
        lines = "\n".join(f"{name}: {content}" for name, content in extras.items())
        return [
            {"role": "system", "content": "\n\n".join(loop_data.system)},
            *loop_data.history_output,
            {"role": "user", "content": self.read_prompt("agent.context.extras.md", extras=lines)},
        ]

    @extension.extensible
    async def get_system_prompt(self, loop_data: LoopData) -> list[str]:
        """Return the parts of the system prompt; all of them come from extensions."""
        system_prompt: list[str] = []
        details = {"system_prompt": system_prompt, "loop_data": loop_data}
        await extension.call_extensions_async("system_prompt", self, **details)
        return system_prompt

    @extension.extensible
    def read_prompt(self, file: str, **kwargs: Any) -> str:
        """Return the text of a prompt file."""
        return files.fill_prompt(file, subagents.places(self, "prompts"), **kwargs)

    @extension.extensible
    def parse_prompt(self, _prompt_file: str, **kwargs: Any) -> history.MessageContent:
        """Return the value of a prompt file that is a JSON template."""
        dirs = subagents.places(self, "prompts")
        return cast(history.MessageContent, files.parse_prompt_file(_prompt_file, dirs, **kwargs))

    @extension.extensible
    def get_chat_model(self) -> Any:
        """Return the model; an extension provides it."""

    @extension.extensible
    async def call_chat_model_turn(
        self, messages: list[dict[str, str]], response_callback: Any = None
    ) -> LLMResult:
        """Ask the model for its next reply, following the text as it grows."""
        model = self.get_chat_model()
        call_data = {"model": model, "messages": messages, "response_callback": response_callback}
        await extension.call_extensions_async("chat_model_call_before", self, call_data=call_data)
        result: LLMResult = await call_data["model"].unified_turn(
            messages=call_data["messages"], response_callback=call_data["response_callback"]
        )
        details = {"call_data": call_data, "response": result.response}
        await extension.call_extensions_async("chat_model_call_after", self, **details)
        return result

    @extension.extensible
    async def handle_exception(self, location: str, exception: Exception) -> None:
        """Raise it again, unless an extension of the implicit end point clears it."""
        raise exception

    @extension.extensible
    async def handle_intervention(self, progress: str = "") -> None:
        """Hold while the chat is paused; raise InterventionException if the user has said something."""
        await self.wait_if_paused()
        if self.intervention:
            said, self.intervention = self.intervention, None
            if progress.strip():
                self.hist_add_ai_response(progress)
            self.hist_add_user_message(said, intervention=True)
            raise InterventionException(said)

    async def wait_if_paused(self) -> None:
        """Hold while the chat is paused."""
        # Polled: whoever pauses a chat does so from another thread, where an asyncio.Event must not be set.
        while self.context.paused:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def process_llm_result_tools(self, llm_result: LLMResult) -> str | None:
        """Execute what a reply asks for; return the answer to the user if that ends the turn."""
        for call in llm_result.function_calls:
            answer = await self._execute_tool_request(call.name, call.arguments, llm_result.response)
            if answer:
                return answer
        if llm_result.function_calls:
            return None
        message = llm_result.response
        if extract_tools.is_tool_request(message):
            return await self.process_tools(message)
        return message

    @extension.extensible
    async def process_tools(self, msg: str) -> str | None:
        """Execute the tool request that a reply consists of."""
        request = extract_tools.extract_tool_request(msg)
        if request is None:
            self.hist_add_warning(self.read_prompt("fw.msg_misformat.md"))
            return None
        tool_name, tool_args = extract_tools.normalize_tool_request(request)
        return await self._run_tool(self._find_tool(tool_name, tool_args, msg), tool_name, tool_args)

    async def _execute_tool_request(
        self, tool_name: str, tool_args: dict[str, Any], message: str
    ) -> str | None:
        """Execute a native function call: the same steps, but no text to take apart."""
        return await self._run_tool(self._find_tool(tool_name, tool_args, message), tool_name, tool_args)

    def _find_tool(self, tool_name: str, tool_args: dict[str, Any], message: str) -> Any:
        # Imported late: tools are built on this module.
        from helpers.mcp_handler import MCPConfig

        tool = MCPConfig.get_instance().get_tool(self, tool_name)
        if tool is None:
            tool = self.get_tool(
                name=tool_name, method=None, args=tool_args, message=message, loop_data=self.loop_data
            )
        tool.args = tool_args
        return tool

    async def _run_tool(self, tool: Any, tool_name: str, tool_args: dict[str, Any]) -> str | None:
        self.loop_data.current_tool = tool
        try:
            await self.handle_intervention()
            await tool.before_execution(**tool_args)
            await self.handle_intervention()
            details = {"tool_args": tool_args, "tool_name": tool_name}
            await extension.call_extensions_async("tool_execute_before", self, **details)
            response = await tool.execute(**tool_args)
            await self.handle_intervention()
            details = {"response": response, "tool_name": tool_name}
            await extension.call_extensions_async("tool_execute_after", self, **details)
            await tool.after_execution(response)
            await self.handle_intervention()
            return response.message if response.break_loop else None
        finally:
            self.loop_data.current_tool = None

    @extension.extensible
    async def validate_tool_request(self, tool_request: Any) -> None:
        """Raise ValueError if the request lacks a name or arguments."""
        extract_tools.normalize_tool_request(tool_request)

    @extension.extensible
    def get_tool(
        self,
        name: str,
        method: str | None,
        args: dict[str, Any],
        message: str,
        loop_data: LoopData | None,
        **kwargs: Any,
    ) -> Any:
        """Return a new instance of a tool: the profile's, the user's, the default one, or `Unknown`."""
        from helpers.tool import Tool
        from tools.unknown import Unknown

        tool_class: type[Tool] = Unknown
        for path in subagents.places(self, "tools", name + ".py"):
            try:
                tool_class = extract_tools.load_classes_from_file(path, Tool)[0]  # type: ignore[type-abstract]
                break
            except Exception:
                # A broken override must not take away the tool it overrides.
                continue
        given: dict[str, Any] = {"name": name, "method": method, "args": args, "message": message}
        return tool_class(agent=self, loop_data=loop_data, **given, **kwargs)
