from helpers import errors
from helpers.errors import HandledException
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class HandleCriticalException(Extension):
    async def execute(self, data={}, **kwargs):
        error = data.get("exception")
        if not self.agent or not error or isinstance(error, HandledException):
            return
        report = errors.format_error(error)
        PrintStyle(font_color="red").print(report)
        self.agent.context.log.log(type="error", content=report)
        PrintStyle(font_color="red").print(f"{self.agent.agent_name}: {errors.error_text(error)}")
        data["exception"] = HandledException(error)
