"""Notes that last as long as the chat."""

from typing import Any

from helpers.errors import RepairableException
from helpers.tool import Response, Tool


class Notes(Tool):
    """`notes:add` keeps a text, `notes:list` returns all of them."""

    async def execute(self, action: str = "list", text: str = "", **kwargs: Any) -> Response:
        notes: list[str] = self.agent.context.data.setdefault("notes", [])
        if action == "add":
            notes.append(text)
            return Response(message=f"Note {len(notes)}: {text}", break_loop=False)
        if action == "list":
            return Response(message="\n".join(notes) or "No notes.", break_loop=False)
        raise RepairableException(f"Notes cannot do '{action}'; they know 'add' and 'list'.")
