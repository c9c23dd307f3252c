import json
import os

from helpers import files
from helpers.extension import Extension


class SaveChat(Extension):
    async def execute(self, **kwargs):
        context = self.agent.context
        folder = files.get_abs_path("tmp/chats", context.name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "chat.json"), "w", encoding="utf-8") as handle:
            json.dump({"history": context.agent0.history.output(), "log": context.log.output()}, handle)
