from helpers import errors, extension
from helpers.errors import RepairableException
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class HandleRepairableException(Extension):
    async def execute(self, data={}, **kwargs):
        if not self.agent or not isinstance(data.get("exception"), RepairableException):
            return
        msg = {"message": errors.format_error(data["exception"])}
        await extension.call_extensions_async("error_format", agent=self.agent, msg=msg)
        self.agent.hist_add_warning(msg["message"])
        PrintStyle(font_color="red").print(msg["message"])
        self.agent.context.log.log(type="warning", content=msg["message"])
        data["exception"] = None
