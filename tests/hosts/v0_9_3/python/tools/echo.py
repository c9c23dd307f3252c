from python.helpers.tool import Response, Tool


class Echo(Tool):
    async def execute(self, text="", **kwargs):
        return Response(message=f"{self.name}/{self.method}: {text}", break_loop=False)
