from helpers import errors, extension
from helpers.errors import RepairableException
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class HandleRepairableException(Extension):
    async def execute(self, data={}, **kwargs):
        error = data.get("exception")
        if not self.agent or not isinstance(error, RepairableException):
            return
        notice = {"message": errors.format_error(error)}
        await extension.call_extensions_async("error_format", agent=self.agent, msg=notice)
        self.agent.hist_add_warning(notice["message"])
        PrintStyle(font_color="red").print(notice["message"])
        self.agent.context.log.log(type="warning", content=notice["message"])
        data["exception"] = None
