"""Whether a turn went as its script says: two hosts that fail alike were not compared."""

from __future__ import annotations

import json
from typing import Final

from autoperf.benchmark.host.http_client import Answer
from autoperf.benchmark.model.server import ModelServer
from autoperf.benchmark.scenarios.acts import Acts
from autoperf.benchmark.scenarios.conversation import Turn

_OK: Final = 200
_RAISED: Final = 500
_SHOWN: Final = 300  # characters of a body


def unmet(turn: Turn, answer: Answer, acts: Acts, model: ModelServer) -> str:
    """What did not go as the script of ``turn`` says, in one line; empty when all did.

    Every reply has status 200, the model was asked once for each reply of the script, and every act took
    place; but for where ``turn`` says that generations differ.
    """
    if turn.error and answer.status == _RAISED and turn.error in _text(answer) and model.given:
        return ""
    count = model.deviation(turn.least)
    if answer.status != _OK:
        return "; ".join(filter(None, [f"was answered {answer.status}: {_shown(answer)}", count]))
    if count:
        return f"was answered 200: {_shown(answer)}; {count}"
    return acts.unmet()


def _text(answer: Answer) -> str:
    return answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)


def _shown(answer: Answer) -> str:
    # The last line of a traceback is the one that tells.
    text = " ".join(_text(answer).split())
    return text if len(text) <= _SHOWN else f"... {text[-_SHOWN:]}"
