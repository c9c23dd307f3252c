"""The agent loop, with the seams of v0.9.9 to v1.7."""

import asyncio
import threading
from typing import Any, Callable, Coroutine

import models
import helpers.log as Log
from helpers import extension, extract_tools, files, history, journal, subagents
from helpers.chat_data import AgentConfig, LoopData, UserMessage
from helpers.defer import DeferredTask
from helpers.dirty_json import DirtyJson
from helpers.errors import HandledException, InterventionException, RepairableException
from helpers.print_style import PrintStyle

Work = Callable[..., Coroutine[Any, Any, Any]]


class AgentContext:
    _contexts: dict[str, "AgentContext"] = {}
    _contexts_lock = threading.RLock()

    @extension.extensible
    def __init__(self, config: "AgentConfig", id: str | None = None, name: str | None = None):
        self.id = id or f"ctx{len(AgentContext._contexts) + 1}"
        self.name = name or self.id
        self.config = config
        self.log = Log.Log()
        self.paused = False
        self.streaming_agent: Agent | None = None
        self.task: DeferredTask | None = None
        self.data: dict[str, Any] = {}
        with AgentContext._contexts_lock:
            AgentContext._contexts[self.id] = self
        self.agent0 = Agent(0, self.config, self)

    @staticmethod
    def get(id: str) -> "AgentContext | None":
        return AgentContext._contexts.get(id)

    @staticmethod
    def remove(id: str) -> None:
        AgentContext._contexts.pop(id, None)

    def get_data(self, key: str, recursive: bool = True) -> Any:
        return self.data.get(key, None)

    def set_data(self, key: str, value: Any, recursive: bool = True) -> None:
        self.data[key] = value

    @extension.extensible
    def get_agent(self) -> "Agent":
        return self.streaming_agent or self.agent0

    @extension.extensible
    def communicate(self, msg: "UserMessage", broadcast_level: int = 1) -> DeferredTask:
        self.paused = False
        addressee = self.get_agent()
        if self.task and self.task.is_alive():
            listener: Agent | None = addressee
            while listener and broadcast_level != 0:
                listener.intervention = msg
                broadcast_level -= 1
                listener = listener.data.get(Agent.DATA_NAME_SUPERIOR)
        else:
            self.task = self.run_task(self._process_chain, addressee, msg)
        return self.task

    @extension.extensible
    def run_task(self, func: Work, *args: Any, **kwargs: Any) -> DeferredTask:
        if not self.task:
            self.task = DeferredTask(thread_name=self.__class__.__name__)
        self.task.start_task(func, *args, **kwargs)
        return self.task

    @extension.extensible
    async def _process_chain(self, agent: "Agent", msg: "UserMessage|str", user: bool = True) -> Any:
        journal.CHAT.set(self.name)
        try:
            if user:
                agent.hist_add_user_message(msg)
            else:
                agent.hist_add_tool_result(tool_name="call_subordinate", tool_result=msg)
            answer = await agent.monologue()
            chief = agent.data.get(Agent.DATA_NAME_SUPERIOR)
            if chief:
                answer = await self._process_chain(chief, answer, False)
            speaker = self.get_agent()
            await extension.call_extensions_async("process_chain_end", agent=speaker, data={})
            return answer
        except Exception as error:
            await self.handle_exception("process_chain", error)

    @extension.extensible
    async def handle_exception(self, location: str, exception: Exception) -> None:
        if exception:
            raise exception


class Agent:
    DATA_NAME_SUPERIOR = "_superior"
    DATA_NAME_SUBORDINATE = "_subordinate"

    @extension.extensible
    def __init__(self, number: int, config: AgentConfig, context: AgentContext | None = None):
        self.config = config
        self.context = context or AgentContext(config=config)
        self.number = number
        self.agent_name = f"A{self.number}"
        self.history = history.History(self)
        self.last_user_message = None
        self.intervention: UserMessage | None = None
        self.data: dict[str, Any] = {}
        extension.call_extensions_sync("agent_init", self)

    @extension.extensible
    async def monologue(self) -> Any:
        while True:
            try:
                question = self.last_user_message
                self.loop_data = LoopData(user_message=question)
                await self._announce("monologue_start")
                printer = PrintStyle(italic=True)
                while True:
                    self.context.streaming_agent = self
                    self.loop_data.iteration += 1
                    self.loop_data.params_temporary = {}
                    await self._announce("message_loop_start")
                    await self.handle_intervention()
                    try:
                        messages = await self.prepare_prompt(loop_data=self.loop_data)
                        await self._announce("before_main_llm_call")
                        await self.handle_intervention()

                        async def reasoning_callback(chunk: str, full: str) -> None:
                            await self.handle_intervention()
                            if chunk == full:
                                printer.print("Reasoning: ")
                            printer.stream(chunk)
                            await self.handle_reasoning_stream(full)

                        async def stream_callback(chunk: str, full: str) -> str | None:
                            await self.handle_intervention()
                            if chunk == full:
                                printer.print("Response: ")
                            part = {"chunk": chunk, "full": full}
                            stop = await self._finished_request(full)
                            await extension.call_extensions_async(
                                "response_stream_chunk",
                                self,
                                loop_data=self.loop_data,
                                stream_data=part,
                            )
                            if part.get("chunk"):
                                printer.stream(part["chunk"])
                            shown = part["full"]
                            await self.handle_response_stream(shown)
                            return stop

                        reply, _ = await self.call_chat_model(
                            messages=messages,
                            response_callback=stream_callback,
                            reasoning_callback=reasoning_callback,
                        )
                        await self.handle_intervention(reply)
                        await self._announce("response_stream_end")
                        await self.handle_intervention(reply)

                        if self.loop_data.last_response == reply:
                            self.hist_add_ai_response(reply)
                            warning = self.read_prompt("fw.msg_repeat.md")
                            self.hist_add_warning(message=warning)
                            self.context.log.log(type="warning", content=warning)
                        else:
                            self.hist_add_ai_response(reply)
                            outcome = await self.process_tools(reply)
                            if outcome:
                                return outcome

                    except Exception as error:
                        await self.handle_exception("message_loop", error)
                    finally:
                        if self.context.task and self.context.task.is_alive():
                            await self._announce("message_loop_end")

            except Exception as error:
                await self.handle_exception("monologue", error)
            finally:
                self.context.streaming_agent = None
                if self.context.task and self.context.task.is_alive():
                    await self._announce("monologue_end")

    async def _announce(self, point: str) -> None:
        await extension.call_extensions_async(point, self, loop_data=self.loop_data)

    async def _finished_request(self, full: str) -> str | None:
        body = extract_tools.extract_json_root_string(full)
        request = extract_tools.json_parse_dirty(body) if body else None
        if request is None:
            return None
        try:
            await self.validate_tool_request(request)
        except Exception:
            return None
        return body

    @extension.extensible
    async def prepare_prompt(self, loop_data: LoopData) -> list[dict[str, Any]]:
        state = {"loop_data": loop_data}
        self.context.log.set_progress("Composing what the model is told")
        await extension.call_extensions_async("message_loop_prompts_before", self, **state)
        parts = await self.get_system_prompt(self.loop_data)
        loop_data.system = parts
        told = self.history.output()
        loop_data.history_output = told
        await extension.call_extensions_async("message_loop_prompts_after", self, **state)
        system = {"role": "system", "content": "\n\n".join(loop_data.system)}
        extras = dict(loop_data.extras_temporary)
        loop_data.extras_temporary.clear()
        return [system, *loop_data.history_output, {"extras": extras}]

    @extension.extensible
    async def handle_exception(self, location: str, exception: Exception) -> None:
        if exception:
            raise exception  # the end extensions of this very function decide what becomes of it

    @extension.extensible
    async def get_system_prompt(self, loop_data: LoopData) -> list[str]:
        parts: list[str] = []
        await extension.call_extensions_async(
            "system_prompt", self, system_prompt=parts, loop_data=loop_data
        )
        return parts

    @extension.extensible
    def read_prompt(self, file: str, **kwargs: Any) -> str:
        folders = subagents.get_paths(self, "prompts")
        return files.read_prompt_file(file, _directories=folders, **kwargs)

    def get_data(self, field: str) -> Any:
        return self.data.get(field, None)

    def set_data(self, field: str, value: Any) -> None:
        self.data[field] = value

    @extension.extensible
    def hist_add_message(self, ai: bool, content: Any, tokens: int = 0) -> history.Message:
        content_data = {"content": content}
        extension.call_extensions_sync("hist_add_before", self, content_data=content_data, ai=ai)
        masked = content_data["content"]
        return self.history.add_message(ai=ai, content=masked, tokens=tokens)

    @extension.extensible
    def hist_add_user_message(self, message: UserMessage, intervention: bool = False) -> history.Message:
        self.history.new_topic()
        key = "user_intervention" if intervention else "user_message"
        self.last_user_message = self.hist_add_message(False, content={key: message.message})
        return self.last_user_message

    @extension.extensible
    def hist_add_ai_response(self, message: str) -> history.Message:
        self.loop_data.last_response = message
        return self.hist_add_message(True, content=message)

    @extension.extensible
    def hist_add_warning(self, message: Any) -> history.Message:
        return self.hist_add_message(False, content={"system_warning": message})

    @extension.extensible
    def hist_add_tool_result(self, tool_name: str, tool_result: str, **kwargs: Any) -> history.Message:
        told = {"tool_name": tool_name, "tool_result": tool_result, **kwargs}
        extension.call_extensions_sync("hist_add_tool_result", self, data=told)
        return self.hist_add_message(False, content=told)

    @extension.extensible
    async def call_chat_model(self, messages: list[dict], response_callback=None, reasoning_callback=None):
        model = models.get_chat_model(self.config.chat_model)
        return await model.unified_call(
            messages=messages, response_callback=response_callback, reasoning_callback=reasoning_callback
        )

    @extension.extensible
    async def handle_intervention(self, progress: str = "") -> None:
        await self.wait_if_paused()
        if self.intervention:
            said, self.intervention = self.intervention, None
            busy = self.loop_data.current_tool
            if busy and busy.progress.strip():
                self.hist_add_tool_result(busy.name, busy.progress.strip())
                busy.set_progress(None)
            if progress.strip():
                self.hist_add_ai_response(progress)
            self.hist_add_user_message(said, intervention=True)
            raise InterventionException(said)

    async def wait_if_paused(self) -> None:
        while self.context.paused:
            await asyncio.sleep(0.02)

    @extension.extensible
    async def process_tools(self, msg: str) -> Any:
        request = extract_tools.json_parse_dirty(msg)
        if request is not None:
            await self.validate_tool_request(request)
            requested = request.get("tool_name", request.get("tool", ""))
            tool_args = request.get("tool_args", request.get("args", {}))
            tool_name, tool_method = requested.split(":", 1) if ":" in requested else (requested, None)

            tool = None
            try:
                import helpers.mcp_handler as mcp_helper

                servers = mcp_helper.MCPConfig.get_instance()
                tool = servers.get_tool(self, tool_name)
            except ImportError:
                PrintStyle().print("No module for MCP servers: their tools are left out")
            except Exception as error:
                PrintStyle().print(f"Asking the MCP servers for {tool_name!r} failed: {error}")

            if not tool:
                wanted = {"name": tool_name, "method": tool_method, "args": tool_args, "message": msg}
                tool = self.get_tool(**wanted, loop_data=self.loop_data)
            if tool:
                self.loop_data.current_tool = tool
                try:
                    await self.handle_intervention()
                    await tool.before_execution(**tool_args)
                    await self.handle_intervention()
                    await extension.call_extensions_async(
                        "tool_execute_before", self, tool_args=tool_args or {}, tool_name=tool_name
                    )
                    response = await tool.execute(**tool_args)
                    await self.handle_intervention()
                    await extension.call_extensions_async(
                        "tool_execute_after", self, response=response, tool_name=tool_name
                    )
                    await tool.after_execution(response)
                    await self.handle_intervention()
                    if response.break_loop:
                        return response.message
                finally:
                    self.loop_data.current_tool = None
            else:
                problem = f"'{requested}' was not found, and nothing stands in for it"
                self.hist_add_warning(problem)
                self.context.log.log(type="warning", content=f"{self.agent_name}: {problem}")
        else:
            warning = self.read_prompt("fw.msg_misformat.md")
            self.hist_add_warning(warning)
            self.context.log.log(type="warning", content=f"{self.agent_name}: the reply asks for nothing")

    @extension.extensible
    async def validate_tool_request(self, tool_request: Any) -> None:
        if not isinstance(tool_request, dict):
            raise ValueError("A request is an object")
        if not isinstance(tool_request.get("tool_name"), str) or not tool_request["tool_name"]:
            raise ValueError("A request names its tool: tool_name is a text")
        if not isinstance(tool_request.get("tool_args"), dict) or not tool_request["tool_args"]:
            raise ValueError("A request has arguments: tool_args is an object")

    async def handle_reasoning_stream(self, stream: str) -> None:
        await self.handle_intervention()
        await extension.call_extensions_async("reasoning_stream", self, loop_data=self.loop_data, text=stream)

    async def handle_response_stream(self, stream: str) -> None:
        await self.handle_intervention()
        try:
            if len(stream) < 25:
                return
            parsed = DirtyJson.parse_string(stream)
            if isinstance(parsed, dict):
                await extension.call_extensions_async(
                    "response_stream", self, loop_data=self.loop_data, text=stream, parsed=parsed
                )
        except Exception:
            pass

    @extension.extensible
    def get_tool(
        self,
        name: str,
        method: str | None,
        args: dict,
        message: str,
        loop_data: LoopData | None,
        **kwargs: Any,
    ) -> Any:
        from helpers.tool import Tool
        from tools.unknown import Unknown

        classes: list[type] = []
        for path in subagents.get_paths(self, "tools", name + ".py"):
            try:
                classes = extract_tools.load_classes_from_file(path, Tool)
                break  # also when the file holds no tool: then the tool is unknown
            except Exception:
                continue
        tool_class = next(iter(classes), Unknown)
        given = {"name": name, "method": method, "args": args, "message": message}
        return tool_class(agent=self, **given, loop_data=loop_data, **kwargs)
