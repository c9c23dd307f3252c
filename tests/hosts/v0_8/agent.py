"""The agent loop, with the seams of v0.8 to v0.9.2."""

import asyncio
import threading
from typing import Any, Callable, Coroutine

import models
import python.helpers.log as Log
from python.helpers import errors, extract_tools, files, history, journal
from python.helpers.chat_data import AgentConfig, LoopData, UserMessage
from python.helpers.defer import DeferredTask
from python.helpers.dirty_json import DirtyJson
from python.helpers.print_style import PrintStyle

Work = Callable[..., Coroutine[Any, Any, Any]]


class AgentContext:
    _contexts: dict[str, "AgentContext"] = {}
    _contexts_lock = threading.RLock()

    def __init__(self, config: "AgentConfig", id: str | None = None, name: str | None = None):
        self.id = id or f"ctx{len(AgentContext._contexts) + 1}"
        self.name = name or self.id
        self.config = config
        self.log = Log.Log()
        self.paused = False
        self.streaming_agent: Agent | None = None
        self.task: DeferredTask | None = None
        AgentContext._contexts[self.id] = self
        self.agent0 = Agent(0, self.config, self)

    @staticmethod
    def get(id: str) -> "AgentContext | None":
        return AgentContext._contexts.get(id)

    @staticmethod
    def remove(id: str) -> None:
        AgentContext._contexts.pop(id, None)

    def get_agent(self) -> "Agent":
        return self.streaming_agent or self.agent0

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

    def run_task(self, func: Work, *args: Any, **kwargs: Any) -> DeferredTask:
        if not self.task:
            self.task = DeferredTask(thread_name=self.__class__.__name__)
        self.task.start_task(func, *args, **kwargs)
        return self.task

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
            return answer
        except Exception as error:
            agent.handle_critical_exception(error)


class InterventionException(Exception):
    pass


class RepairableException(Exception):
    pass


class HandledException(Exception):
    pass


class Agent:
    DATA_NAME_SUPERIOR = "_superior"
    DATA_NAME_SUBORDINATE = "_subordinate"

    def __init__(self, number: int, config: AgentConfig, context: AgentContext | None = None):
        self.config = config
        self.context = context or AgentContext(config=config)
        self.number = number
        self.agent_name = f"Agent {self.number}"
        self.history = history.History(self)
        self.last_user_message = None
        self.intervention: UserMessage | None = None
        self.data: dict[str, Any] = {}

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
                    try:
                        messages = await self.prepare_prompt(loop_data=self.loop_data)
                        self.loop_data.params_temporary["log_item_generating"] = self.context.log.log(
                            type="agent", heading=f"{self.agent_name} is writing"
                        )

                        async def stream_callback(chunk: str, full: str) -> None:
                            if chunk:
                                printer.stream(chunk)
                                await self.handle_response_stream(full)

                        reply = await self.call_chat_model(messages, callback=stream_callback)
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

                    except InterventionException:
                        pass
                    except RepairableException as e:
                        report = errors.format_error(e)
                        self.hist_add_warning(report)
                        PrintStyle(font_color="red").print(report)
                        self.context.log.log(type="error", content=report)
                    except Exception as error:
                        self.handle_critical_exception(error)
                    finally:
                        await self._announce("message_loop_end")

            except InterventionException:
                pass
            except Exception as error:
                self.handle_critical_exception(error)
            finally:
                self.context.streaming_agent = None
                await self._announce("monologue_end")

    async def _announce(self, point: str) -> None:
        await self.call_extensions(point, loop_data=self.loop_data)

    async def prepare_prompt(self, loop_data: LoopData) -> list[dict[str, Any]]:
        state = {"loop_data": loop_data}
        self.context.log.set_progress("Composing what the model is told")
        await self.call_extensions("message_loop_prompts_before", **state)
        parts = await self.get_system_prompt(self.loop_data)
        loop_data.system = parts
        told = self.history.output()
        loop_data.history_output = told
        await self.call_extensions("message_loop_prompts_after", **state)
        system = {"role": "system", "content": "\n\n".join(loop_data.system)}
        extras = dict(loop_data.extras_temporary)
        loop_data.extras_temporary.clear()
        return [system, *loop_data.history_output, {"extras": extras}]

    def handle_critical_exception(self, exception: Exception) -> None:
        if isinstance(exception, HandledException):
            raise exception
        report = errors.format_error(exception)
        PrintStyle(font_color="red").print(report)
        self.context.log.log(
            type="error", heading="Failure", content=report, kvps={"text": errors.error_text(exception)}
        )
        PrintStyle(font_color="red").print(f"{self.agent_name}: {errors.error_text(exception)}")
        raise HandledException(exception)

    async def get_system_prompt(self, loop_data: LoopData) -> list[str]:
        parts: list[str] = []
        await self.call_extensions("system_prompt", system_prompt=parts, loop_data=loop_data)
        return parts

    def read_prompt(self, file: str, **kwargs: Any) -> str:
        folders = [files.get_abs_path("prompts/default")]
        if self.config.prompts_subdir:
            folders.insert(0, files.get_abs_path("prompts", self.config.prompts_subdir))
        return files.read_prompt_file(file, _directories=folders, **kwargs)

    def get_data(self, field: str) -> Any:
        return self.data.get(field, None)

    def set_data(self, field: str, value: Any) -> None:
        self.data[field] = value

    def hist_add_message(self, ai: bool, content: Any, tokens: int = 0) -> history.Message:
        return self.history.add_message(ai, content, tokens)

    def hist_add_user_message(self, message: UserMessage, intervention: bool = False) -> history.Message:
        self.history.new_topic()
        key = "user_intervention" if intervention else "user_message"
        self.last_user_message = self.hist_add_message(False, content={key: message.message})
        return self.last_user_message

    def hist_add_ai_response(self, message: str) -> history.Message:
        self.loop_data.last_response = message
        return self.hist_add_message(True, content=message)

    def hist_add_warning(self, message: Any) -> history.Message:
        return self.hist_add_message(False, content={"system_warning": message})

    def hist_add_tool_result(self, tool_name: str, tool_result: str) -> history.Message:
        return self.hist_add_message(False, content={"tool_name": tool_name, "tool_result": tool_result})

    def get_chat_model(self) -> models.ChatModel:
        return models.get_model(self.config.chat_model)

    async def call_chat_model(self, prompt: list[dict[str, Any]], callback=None) -> str:
        response = ""
        async for chunk in self.get_chat_model().astream(prompt):
            await self.handle_intervention()
            content = models.parse_chunk(chunk)
            response += content
            if callback:
                await callback(content, response)
        return response

    async def handle_intervention(self, progress: str = "") -> None:
        while self.context.paused:
            await asyncio.sleep(0.02)
        if self.intervention:
            said, self.intervention = self.intervention, None
            if progress.strip():
                self.hist_add_ai_response(progress)
            self.hist_add_user_message(said, intervention=True)
            raise InterventionException(said)

    async def process_tools(self, msg: str) -> Any:
        request = extract_tools.json_parse_dirty(msg)
        if request is not None:
            requested = request.get("tool_name", "")
            tool_args = request.get("tool_args", {})
            tool_name, tool_method = requested.split(":", 1) if ":" in requested else (requested, None)

            tool = None
            try:
                import python.helpers.mcp_handler as mcp_helper

                servers = mcp_helper.MCPConfig.get_instance()
                tool = servers.get_tool(self, tool_name)
            except ImportError:
                PrintStyle().print("No module for MCP servers: their tools are left out")
            except Exception as error:
                PrintStyle().print(f"Asking the MCP servers for {tool_name!r} failed: {error}")

            if not tool:
                tool = self.get_tool(name=tool_name, method=tool_method, args=tool_args, message=msg)
            if tool:
                await self.handle_intervention()
                await tool.before_execution(**tool_args)
                await self.handle_intervention()
                response = await tool.execute(**tool_args)
                await self.handle_intervention()
                await tool.after_execution(response)
                await self.handle_intervention()
                if response.break_loop:
                    return response.message
            else:
                problem = f"'{requested}' was not found, and nothing stands in for it"
                self.hist_add_warning(problem)
                self.context.log.log(type="error", content=f"{self.agent_name}: {problem}")
        else:
            warning = self.read_prompt("fw.msg_misformat.md")
            self.hist_add_warning(warning)
            self.context.log.log(type="error", content=f"{self.agent_name}: the reply asks for nothing")

    async def handle_response_stream(self, stream: str) -> None:
        try:
            if len(stream) < 25:
                return
            parsed = DirtyJson.parse_string(stream)
            if isinstance(parsed, dict):
                await self.call_extensions(
                    "response_stream", loop_data=self.loop_data, text=stream, parsed=parsed
                )
        except Exception:
            pass

    def get_tool(self, name: str, method: str | None, args: dict, message: str, **kwargs: Any) -> Any:
        from python.helpers.tool import Tool
        from python.tools.unknown import Unknown

        classes = extract_tools.load_classes_from_folder("python/tools", name + ".py", Tool)
        tool_class = next(iter(classes), Unknown)
        return tool_class(agent=self, name=name, method=method, args=args, message=message, **kwargs)

    async def call_extensions(self, folder: str, **kwargs: Any) -> Any:
        from python.helpers.extension import Extension

        # a name pattern of "*" in a folder that must exist: absence raises, and the caller sees it
        classes = extract_tools.load_classes_from_folder("python/extensions/" + folder, "*", Extension)
        for cls in classes:
            await cls(agent=self).execute(**kwargs)
