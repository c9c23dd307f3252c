"""The features by name, and how a list of them is read; light enough for the launcher."""

from __future__ import annotations

FEATURES: dict[str, str] = {
    "tools": "tool classes are kept between calls and validated by file stamp",
    "extensions": "extension classes are kept between calls; points without extensions return at once",
    "interventions": "idle intervention checks return at once; a message or pause acts at the next call",
    "mcp": "MCP tool names are looked up in an index instead of a scan",
    "streaming": "a growing reply is parsed on from where the last chunk ended",
    "prompts": "prompt files, their variables and skills are read anew only when one of them changed",
    "paths": "where an agent's files may lie is worked out once; which of them exist is looked up every time",
    "settings": "YAML, plugin lists and git's version are read anew only when their files changed",
    "tokens": "the tokens of a text that was counted before are not counted again",
    "output": "the log masks and writes only what changed",
    "client": "work that the model's client does for every chunk and nobody uses is left out",
    "startup": "garbage collection waits while the host imports, no folder is walked again to watch another",
    "imports": "heavy packages are imported at first use; one that is broken fails there, not at the start",
    "mcp-keep": "an MCP server's session is kept open between calls, and so is the server's state",
    "mcp-standby": "the next call's MCP server starts before it, in the folder, environment and time of then",
    "throttle": "chunks that come faster than AUTOPERF_STREAM_HZ reach the stream callbacks merged",
    "monitor": "samples of the process every few seconds, and event loops that stall with what stalls them",
    "trace": "spans and execution statistics, into the local store and to OTLP when configured",
}
# Each changes something that could be noticed, or has to be asked for by somebody who knows the host's setup.
ON_REQUEST = frozenset({"imports", "mcp-keep", "mcp-standby", "throttle"})
DEFAULT = frozenset(FEATURES) - ON_REQUEST
# Were features once: lists that name them still hold.
RETIRED = frozenset({"model-classes", "preload"})


# Seams that are no target of a patch, by their feature; a name before a colon stands for all that begin so.
_SEAMS: dict[str, str] = {
    "settings": "accounts, git, plugin files, presets, settings, yaml",
    "prompts": "names in prompt folders, prompt files, skills",
    "streaming": "dirty_json, json_root_object_starts",
    "tools": "load_classes_from_folder, loading by path",
    "extensions": "extension calls, helpers.extension",
    "interventions": "handle_intervention",
    "mcp": "MCPConfig.get_tool",
    "mcp-keep": "mcp sessions",
    "mcp-standby": "mcp standby, mcp process",
    "tokens": "tokens",
    "output": "log masking",
    "client": "litellm.litellm_core_utils.streaming_handler, openai._streaming",
    "imports": "imports",
    "throttle": "throttled stream",
    "monitor": "monitor, profile",
    "trace": "telemetry, background, chat content, chat span, content, execute, History.compress, "
    "Memory.search_similarity_threshold, model answer, model streams, monologue, retry, steps, "
    "_execute_tool_request, _execute_with_session",
}
_BY_SEAM = {seam: feature for feature, seams in _SEAMS.items() for seam in seams.split(", ")}


def of_seam(seam: str) -> str:
    """The feature of a seam that is no patch's target; empty where it belongs to no single one."""
    name = seam.partition(":")[0]
    if name == "patches":
        name = seam.partition(": ")[2]
        return name if name in FEATURES else ""
    return _BY_SEAM.get(name, "")


def way_out(feature: str) -> str:
    """What a person sets to do without ``feature``; without all of autoperf where it is no feature."""
    everything = "AUTOPERF_DISABLED=1"
    return f"AUTOPERF_FEATURES=-{feature} or {everything}" if feature in FEATURES else everything


class FeaturesError(ValueError):
    """A list of features with unknown names; ``features`` are what the rest of it says."""

    def __init__(self, unknown: list[str], features: frozenset[str]) -> None:
        what = ", ".join(map(repr, unknown))
        super().__init__(f"no feature {what}; there are {', '.join(FEATURES)}")
        self.features = features


def parse_features(text: str) -> frozenset[str]:
    """Read a feature list: names add up, ``-name`` takes one from the default, ``+name`` adds one to it.

    ``"tools,mcp"`` is exactly these two; ``"-mcp"`` is the default but for MCP; ``all`` is the default, which
    leaves out those of `ON_REQUEST`; ``none`` is nothing. Names of `RETIRED` mean nothing. Raises
    `FeaturesError` for unknown names.
    """
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    known = [name for name in names if name.lstrip("+-") in {*FEATURES, "all", "none"}]
    chosen = set(DEFAULT) if all(name[0] in "+-" for name in known) else set()
    for name in known:
        bare = name.lstrip("+-")
        if bare == "all":
            chosen = set(DEFAULT)
        elif bare == "none":
            chosen = set()
        elif name.startswith("-"):
            chosen.discard(bare)
        else:
            chosen.add(bare)
    unknown = [
        bare for name in names if (bare := name.lstrip("+-")) not in {*FEATURES, *RETIRED, "all", "none"}
    ]
    if unknown:
        raise FeaturesError(unknown, frozenset(chosen))
    return frozenset(chosen)


def retired(text: str) -> list[str]:
    """The names in a feature list that were features once."""
    names = (part.strip().lower().lstrip("+-") for part in text.split(","))
    return [name for name in names if name in RETIRED]
