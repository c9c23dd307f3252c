from helpers.extension import Extension


class SystemPrompt(Extension):
    async def execute(self, system_prompt=None, **kwargs):
        system_prompt.append(self.agent.read_prompt("agent.system.main.md"))


def get_tools_prompt(agent):
    return "echo, response, call_subordinate"
