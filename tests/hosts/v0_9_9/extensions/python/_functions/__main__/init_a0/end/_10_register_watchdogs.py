from helpers import journal
from helpers.extension import Extension


class RegisterWatchdogs(Extension):
    def execute(self, **kwargs):
        journal.note("print", text="watchdogs registered")
