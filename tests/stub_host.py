"""A folder that `autoperf benchmark` takes for an Agent Zero, and that answers as the test wants it to."""

from __future__ import annotations

from pathlib import Path

# Modes: "works", "fails" before it asks the model, "stops" after the first reply, "insists" on one more,
# "forgets" the chat it should store, "hangs" up, or "sleeps" and never opens its port.
_PROGRAM = """\
import argparse, http.server, json, os, pathlib, time, urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
port = parser.parse_known_args()[0].port
settings = json.loads(pathlib.Path("tmp/settings.json").read_text())
mode = os.environ["STUB_HOST"]
print("stub host: begins", flush=True)


def ask():
    body = {"model": settings["chat_model_name"], "messages": []}
    request = urllib.request.Request(
        settings["chat_model_api_base"] + "/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/poll":
            return self.reply(200, {"logs": []})
        if mode == "hangs":
            return self.connection.close()
        if mode == "fails":
            print("stub host: no tokenizer", flush=True)
            return self.reply(500, "Traceback: the tokenizer could not be loaded")
        while "response" not in ask() and mode != "stops":
            pass
        if mode == "insists":
            ask()
        if mode != "forgets":
            chat = pathlib.Path("tmp/chats/one/chat.json")
            chat.parent.mkdir(parents=True, exist_ok=True)
            chat.write_text("{}")
        self.reply(200, {"context": "one", "message": "done"})

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if mode == "sleeps":
    time.sleep(600)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def make(folder: Path) -> Path:
    """Write the host into ``folder``; its environment's ``STUB_HOST`` is its mode."""
    helpers = folder / "python" / "helpers"
    helpers.mkdir(parents=True)
    for path in (folder / "agent.py", folder / "models.py", helpers / "dotenv.py", helpers / "settings.py"):
        path.write_text("")
    (folder / "run_ui.py").write_text(_PROGRAM)
    return folder
