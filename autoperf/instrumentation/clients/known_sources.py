"""The functions of litellm and openai whose behaviour is relied on, recognised by their source.

Read in openai 1.99.5, 1.109.1, 2.41.1 and 3.54.0 and in litellm 1.74.0, 1.75.0, 1.79.3 and 1.88.1; others
are left alone, and so is a function that somebody has wrapped or replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest

_WRAPPER: Final = "litellm.litellm_core_utils.streaming_handler:CustomStreamWrapper."
_PROCESSED: Final = _WRAPPER + "return_processed_chunk_logic"
_TYPES: Final = "litellm.types.utils:"
_HELPERS: Final = "litellm.litellm_core_utils.core_helpers:"
_REQUESTS: Final = "openai._utils._transform:"
_LENGTH: Final = 16
_ABSENT: Final = "absent"

# The first digits of each known digest; "absent" where some version does without that function.
RELIED_ON: Final[dict[str, dict[str, str]]] = {
    "openai": {
        "openai._streaming:AsyncStream.__stream__": "50e1b8735510b639 5e80791509f27eec ed831b389f9b68aa",
        "openai._streaming:AsyncStream.__aiter__": "3cb51a5e568ca904",
        "openai._streaming:ServerSentEvent.json": "4f5965b0c007ab8d",
        "openai._base_client:BaseClient._process_response_data": "762d6516265cd9db d6ace194c24ad4b6",
        "openai._models:construct_type": "0213426d4b995533 b58f04ea3adaab8c",
        "openai._models:BaseModel.construct": "200600ce4844e752 6032e26382753188 b98be1c7a59a2c3b",
        "openai._models:_construct_field": "2154eaeb694bc9ed 44a132c447670504 c6b9da730e7a27b5",
        "openai._models:validate_type": "e5a40aacb5fd04e7 f455bd93e8f759f5",
    },
    "openai requests": {
        _REQUESTS + "_async_transform_recursive": "6eae3219e9891d95 8739ce5d500aff1e 651cf449c3f001b6",
        _REQUESTS + "_async_transform_typeddict": "d2785917a19f7df2 6c99c70f58cebeec",
        _REQUESTS + "_async_format_data": "ec3c9eb713b92119 fb167b4005dee281",
        _REQUESTS + "_maybe_transform_key": "6faa839d7c3c3f40",
        _REQUESTS + "is_given": "bd3ef9b1dc91b247 827b760b45d86c6b",
        _REQUESTS + "is_base64_file_input": "2a18cb4469866cc0",
    },
    "litellm": {
        _WRAPPER + "__anext__": "add7d4e8d8931be3 b7a77dee42d50be8 be2bc44c35160a6b ce77871e267f4ae3",
        _WRAPPER + "chunk_creator": "1fbf7964e486b45f 9b3498e0d2303989 f6422baa8627774d",
        _PROCESSED: "4fc38f1d908879b5 a04592fa0427d4fc ddc022fb415cc935 f20af925475eb677",
        _WRAPPER + "handle_openai_chat_completion_chunk": "7b1151393440d4bd 945fd02b9e1977e4",
        _WRAPPER + "model_response_creator": "2e7204747828a327 7f008c56c57e6ecf b16fdb53d1b8c135",
        _WRAPPER + "is_chunk_non_empty": "48e7c1b6cddbad47 c8e53994a184fce0 f0e5a3850a0f722c",
        _WRAPPER + "strip_role_from_delta": "absent f6707bc6b25d8391",
        _WRAPPER + "set_model_id": "b49e3b946a3c83a2",
        _WRAPPER + "copy_model_response_level_provider_specific_fields": "06325013c83ebbba 44972b30af31ec9f",
        _WRAPPER + "safety_checker": "absent e51200c52ceb5aff",
        _WRAPPER + "raise_on_model_repetition": "absent 3f65956c9974e691",
        _WRAPPER + "check_special_tokens": "766811acf60d103d",
        _WRAPPER + "_optional_combine_thinking_block_in_choices": "0d74031731554f62 19c1041f217b3059",
        _TYPES + "Delta.__init__": "0ad2e88a951b5109 0d562a193f885e70 2678fc1b6db1a9a9",
        _TYPES + "StreamingChoices.__init__": "ce9378a643e21247 cf82939c19eeb9df",
        _TYPES + "ModelResponseStream.__init__": "6306bee7f71d788f 7bb4ae0fbf15e4cc",
        _TYPES + "add_provider_specific_fields": "3508f1e5b67778bf",
        _HELPERS + "preserve_upstream_non_openai_attributes": "absent 1351cb04caa24bda 2ab4203073bb767e",
        _HELPERS + "map_finish_reason": "2c117f5951d54cf0 f66d63f416d238d9",
    },
}


def require(name: str, function: Any) -> None:
    """Raise `AutoperfError` unless ``function`` is a known version of ``name``."""
    for functions in RELIED_ON.values():
        if name in functions and _digest(function) in functions[name].split():
            return
    raise AutoperfError("another version of it than those known")


class Recognised:
    """Whether all functions of a table are there in a known version; asked again once one was replaced.

    Of those that are not, the row of ``switch`` tells.
    """

    def __init__(self, functions: Mapping[str, str], switch: Switch) -> None:
        self._switch = switch
        self._wanted = {name: known.split() for name, known in functions.items()}
        self._seen: list[Any] = []
        self._known = False

    def __call__(self) -> bool:
        """Cheap after the first time."""
        found = [_found(name) for name in self._wanted]
        if len(found) != len(self._seen) or any(a is not b for a, b in zip(found, self._seen, strict=True)):
            self._seen = found
            pairs = zip(found, self._wanted.values(), strict=True)
            others = [
                name
                for name, (function, known) in zip(self._wanted, pairs, strict=True)
                if _digest(function) not in known
            ]
            self._known = not others
            if others:
                self._switch.stand_aside(f"other versions of {', '.join(others)}")
            else:
                self._switch.act_again()
        return self._known


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = vars(found).get(part) if found is not None else None
    return getattr(found, "__func__", found)


def _digest(function: Any) -> str:
    if function is None:
        return _ABSENT
    if not isinstance(function, FunctionType):
        return ""
    # Of a wrapper, inspect would show the source of what it wraps. One of ours stands in its place exactly.
    wrapped = getattr(function, "__wrapped__", function)
    stands = _place(wrapped) == _place(function)
    return digest(wrapped)[:_LENGTH] if stands else ""


def _place(function: Any) -> tuple[str, int] | None:
    code = getattr(function, "__code__", None)
    return None if code is None else (code.co_filename, code.co_firstlineno)
