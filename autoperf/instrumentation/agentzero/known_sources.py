"""The host's functions around prompt files, as they are known: which ones, and in which versions."""

from __future__ import annotations

from typing import Final

RELIES_ON: Final = (
    "read_prompt_file", "parse_file", "find_file_in_dirs", "load_plugin_variables", "process_includes",
    "_get_dirs_after", "evaluate_text_conditions", "replace_placeholders_text", "replace_placeholders_json",
    "is_full_json_template", "remove_code_fences", "get_abs_path", "_resolve_path", "exists", "basename",
    "dirname",
)  # fmt: skip
KNOWN: Final = frozenset(
    {
        "5595f5289d744ec26f3b2f011bbad245301013353d95866f2455a51f874eed54",  # v0.9.5, v0.9.6
        "c64e71cf77c83fd810a4d5ad12093c1e97b448ba9a4aaac926161c46176d9a66",  # v0.9.7-pre
        "5b3d8785691ea8af27d8bdb938d634b132a572935024c978d5d7e70cbcf135a5",  # v0.9.7
        "53124251bb39325f54260e4655cebb7137f3766441911e3cf0ebac451a107279",  # v0.9.8
        "1a042ea1ef56dc71fa58b6d54c4f07de9020593d0da5d337f55f426ae519dff8",  # v0.9.9 - v2.6
        "71423bd344553e90b3ce7cda9958e9a60f85128a8881818ba18f6a48e4428703",  # tests/hosts/v0_9_*
        "3ee8ce005bdd5ae9633318b8d6c09a4c731c3ae3d3149c9f0be1f9bf9cac2518",  # tests/hosts/v0_9_9, v2
    }
)
