from helpers import errors
from helpers.errors import HandledException
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class HandleCriticalException(Extension):
    async def execute(self, data={}, **kwargs):
        exception = data.get("exception")
        if not self.agent or not exception or isinstance(exception, HandledException):
            return
        error_message = errors.format_error(exception)
        PrintStyle(font_color="red").print(error_message)
        self.agent.context.log.log(type="error", content=error_message)
        PrintStyle(font_color="red").print(f"{self.agent.agent_name}: {errors.error_text(exception)}")
        data["exception"] = HandledException(exception)
