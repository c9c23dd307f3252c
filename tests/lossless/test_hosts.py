"""The look-alikes themselves: transcripts repeat, and every scenario exercises what its name says."""

import json
import shutil
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

HOSTS = Path(__file__).parents[1] / "hosts"
NAMES = ("v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2")
REREADS = NAMES[1:]
RETRIES = NAMES[2:]
EXTENSIBLE = NAMES[3:]


def drive(name: str, out: Path, *scenarios: str) -> str:
    driver = [sys.executable, "-W", "ignore", str(HOSTS / "drive.py"), str(HOSTS / name)]
    done = subprocess.run([*driver, str(out), *scenarios], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return out.read_text(encoding="ascii")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Transcripts of a host, all scenarios, driven once."""
    folder = tmp_path_factory.mktemp("transcripts")

    @cache
    def load(name: str) -> dict:
        return json.loads(drive(name, folder / f"{name}.json"))

    return load


def results(transcript: dict, chat: str = "main", agent: str | None = None) -> list[str]:
    """The tool results in the history, the closing ones of the response tool left out."""
    histories = transcript["chats"][chat]["history"]
    history = histories[agent or next(iter(histories))]
    found = [m["content"] for m in history if "tool_result" in m["content"] and not m["ai"]]
    return [content["tool_result"] for content in found if content["tool_name"] != "response"]


def warnings(transcript: dict) -> list[str]:
    history = next(iter(transcript["chats"]["main"]["history"].values()))
    return [m["content"]["system_warning"] for m in history if "system_warning" in m["content"]]


def answer(transcript: dict, turn: int = 0) -> dict:
    return transcript["chats"]["main"]["answers"][turn]


def kinds(transcript: dict, kind: str) -> list[dict]:
    return [event for event in transcript["events"] if event["kind"] == kind]


@pytest.mark.parametrize("name", NAMES)
def test_transcripts_repeat_whatever_ran_before(name, told, tmp_path):
    whole = told(name)
    sample = [*list(whole)[::14], "two_threads", "two_chats_streaming", "cancelled_from_outside"]
    again = json.loads(drive(name, tmp_path / "again.json", *dict.fromkeys(sample)))
    for scenario, transcript in again.items():
        assert json.dumps(transcript) == json.dumps(whole[scenario]), scenario


@pytest.mark.parametrize("name", NAMES)
def test_no_scenario_ran_into_the_time_limit(name, told):
    for scenario, transcript in told(name).items():
        errors = {a.get("error") for chat in transcript["chats"].values() for a in chat["answers"]}
        assert errors.isdisjoint({"TimeoutError", "IndexError"}), scenario


def test_an_edited_tool_is_used_at_the_next_call_but_not_in_v0_8(told):
    assert results(told("v0_8")["edited_tool"]) == ["old", "old", "old"]
    for name in REREADS:
        assert results(told(name)["edited_tool"]) == ["old", "new", "new"]
        assert results(told(name)["edited_same_mtime"]) == ["old", "newer!", "newer!"]
        assert results(told(name)["edited_replaced"]) == ["old", "newer!", "newer!"]


@pytest.mark.parametrize("name", REREADS)
def test_bytecode_hides_an_edit_of_the_same_size_within_the_second(name, told):
    assert results(told(name)["edited_same_second"]) == ["old", "old", "old"]


@pytest.mark.parametrize("name", NAMES)
def test_deleted_and_added_tools_act_at_once(name, told):
    assert "not found" in results(told(name)["deleted_tool"])[1]
    missing, found = results(told(name)["added_tool"])
    assert "not found" in missing
    assert found == "new"


@pytest.mark.parametrize("scenario", ["module_list", "module_lru_cache", "class_list", "class_counter"])
def test_state_of_a_tool_module_lives_for_one_call_from_v0_9_3(scenario, told):
    assert len(set(results(told("v0_8")[scenario]))) == 5
    for name in REREADS:
        assert len(set(results(told(name)[scenario]))) == 1


@pytest.mark.parametrize("name", REREADS)
def test_a_tool_reads_the_world_again_when_it_is_loaded_again(name, told):
    assert results(told(name)["module_reads_environment"]) == ["nothing", "nothing", "nothing", "set", "set"]
    assert results(told(name)["module_reads_file"]) == ["first", "first", "first", "second", "second"]
    assert len(kinds(told(name)["module_side_effect"], "imported")) == 5


@pytest.mark.parametrize("scenario", ["syntax_error", "import_error", "raises_at_import", "half_written"])
def test_a_broken_tool_is_fatal_in_v0_8_unknown_later_and_works_when_repaired(scenario, told):
    assert answer(told("v0_8")[scenario])["error"] == "HandledException"
    for name in REREADS:
        assert "not found" in results(told(name)[scenario])[0]
    for name in NAMES:
        assert results(told(name)[scenario])[-1] == "works"


def test_an_override_without_a_tool_class_hides_the_default_from_v0_9_8(told):
    assert results(told("v0_9_3")["override_without_class"])[0] == "default"
    for name in RETRIES:
        assert "not found" in results(told(name)["override_without_class"])[0]


@pytest.mark.parametrize("name", REREADS)
def test_an_override_acts_when_it_appears_and_stops_when_it_is_deleted(name, told):
    others = {"override_broken", "override_without_class"}
    overrides = [s for s in told(name) if s.startswith("override_") and s not in others]
    assert "override_profile" in overrides
    for scenario in overrides:
        assert results(told(name)[scenario]) == ["default", "override", "override", "default"], scenario


@pytest.mark.parametrize("name", NAMES)
def test_the_method_reaches_the_tool(name, told):
    first = results(told(name)["tool_method"])[0]
    assert ("'action': 'shout'" if name == "v2" else "'shout'") in first


@pytest.mark.parametrize("name", NAMES)
def test_mcp_comes_before_a_local_tool_of_the_same_name(name, told):
    found = results(told(name)["mcp_first"])
    assert found[0].startswith("mcp both")
    if name == "v0_8":  # a dotted file name is no module there
        assert answer(told(name)["mcp_first"])["error"] == "HandledException"
    else:
        assert found[1] == "the local one"


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_that_raises_runs_once(name, told):
    transcript = told(name)["tool_repairable_plain"]
    assert len(kinds(transcript, "ran")) == 1
    assert "plain" in warnings(transcript)[0]
    assert "Traceback" in warnings(transcript)[0]
    assert len(kinds(told(name)["tool_after_execution_raises"], "ran")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_long_tracebacks_are_trimmed_by_frames(name, told):
    text = warnings(told(name)["tool_repairable_very_deep"])[0]
    assert "stack lines left out" in text
    assert "stack lines left out" not in warnings(told(name)["tool_repairable_plain"])[0]


def test_critical_errors_end_the_turn_until_v0_9_8_gives_them_a_second_chance(told):
    for name in NAMES:
        failed = answer(told(name)["tool_critical_plain"]).get("error")
        assert failed == (None if name in RETRIES else "HandledException")
        assert answer(told(name)["tool_critical_twice"])["error"] == "HandledException"


@pytest.mark.parametrize("name", NAMES)
def test_interventions_drop_the_result_of_the_running_tool(name, told):
    for scenario in ("intervention_in_tool", "intervention_break_loop", "intervention_asked_by_tool"):
        assert results(told(name)[scenario]) == ["echo/None: after"], scenario
    assert len(kinds(told(name)["intervention_raised_by_tool"], "ran")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_nothing_happens_in_a_paused_chat(name, told):
    events = told(name)["pause_in_tool"]["events"]
    verbs = [event.get("verb") or event["kind"] for event in events]
    assert verbs[verbs.index("pause") :][:4] == ["pause", "later", "tool ends", "resume"]
    both = told(name)["pause_one_of_two"]["events"]
    paused = next(i for i, e in enumerate(both) if e.get("verb") == "pause")
    resumed = next(i for i, e in enumerate(both) if e.get("verb") == "resume")
    assert {e["chat"] for e in both[paused + 2 : resumed] if e["kind"] != "event"} == {"b"}


@pytest.mark.parametrize("name", NAMES)
def test_two_streaming_chats_interleave_and_every_chunk_is_counted(name, told):
    events = kinds(told(name)["two_chats_streaming"], "chunk seen")
    chats = [event["chat"] for event in events]
    assert set(chats) == {"main", "b"}
    assert any(a != b for a, b in pairwise(chats))
    for chat in ("main", "b"):
        counts = [event["n"] for event in events if event["chat"] == chat]
        assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("name", REREADS)
def test_secrets_are_masked_in_what_is_shown_kept_and_saved(name, told):
    transcript = told(name)["two_chats_streaming"]
    shown = "".join(event["text"] for event in kinds(transcript, "stream") if event["chat"] == "main")
    assert "§§secret(KEY)" in shown
    for scenario in ("secret_used", "secret_in_error"):
        chat = told(name)[scenario]["chats"]["main"]
        assert "s3cr3t" not in chat["saved"] + json.dumps(chat["history"]) + json.dumps(chat["log"]), scenario
    assert results(told(name)["secret_used"])[0] == "the key is §§secret(KEY)"


def test_when_each_generation_sees_changed_extension_files(told):
    seen = {name: results(told(name)["extension_edited"]) for name in NAMES}
    assert seen["v0_8"] == seen["v0_9_3"] == seen["v0_9_8"] == ["['one']"] * 4
    assert seen["v0_9_9"] == seen["v2"] == ["['one']"] * 3 + ["['ONE!']"]
    added = {name: results(told(name)["extension_added"]) for name in NAMES}
    assert added["v0_8"] == ["['two']"] + ["['one', 'two']"] * 3
    assert added["v0_9_8"] == ["['two']"] * 4
    assert added["v2"] == ["['two']"] * 3 + ["['one', 'two']"]


def test_a_missing_extension_folder_is_fatal_in_v0_8_and_probed_later(told):
    assert "No such file" in answer(told("v0_8")["extension_folder_appears"])["text"]
    assert results(told("v0_9_8")["extension_folder_appears"]) == ["[]"] + ["['one']"] * 3
    assert results(told("v0_9_9")["extension_folder_appears"]) == ["[]"] * 3 + ["['one']"]


@pytest.mark.parametrize("name", REREADS)
def test_extensions_of_a_profile_merge_with_the_defaults_by_file_name(name, told):
    transcript = told(name)["extensions_merge"]
    order = ["_05_first", "_10_iteration_no", "_90_last"]
    assert [event["which"] for event in kinds(transcript, "merged")][:3] == order
    assert "IterationNo" not in {event["cls"] for event in kinds(transcript, "extension")}


def test_exceptions_of_extensions_come_out_except_in_response_stream(told):
    for name in NAMES:
        scenario = told(name)["raises_in_message_loop_prompts_before_repairable"]
        assert "from an extension" in warnings(scenario)[0]
        assert warnings(told(name)["raises_in_response_stream_critical"]) == []
    assert answer(told("v0_9_3")["raises_in_tool_execute_before_critical"])["error"] == "HandledException"


@pytest.mark.parametrize("name", REREADS)
def test_a_broken_prompt_plugin_is_an_error_and_its_repair_is_seen(name, told):
    transcript = told(name)["prompt_plugin_broken"]
    assert answer(transcript)["error"] == "HandledException"
    assert answer(transcript, 1) == {"answer": "one"}  # the model had not been asked before
    systems = [e["messages"][0]["content"] for e in kinds(told(name)["prompt_plugin_edited"], "prompt")]
    assert ["one" in systems[0], "the other" in systems[1]] == [True, True]


@pytest.mark.parametrize("name", EXTENSIBLE)
def test_start_and_end_extensions_replace_what_they_like(name, told):
    assert results(told(name)["get_tool_start_renames"])[0].startswith("echo/None")
    assert results(told(name)["get_tool_start_result"])[0].startswith("given/None")
    assert results(told(name)["get_tool_end_rescues"])[0].startswith("rescued/None")
    assert "raised in start" in warnings(told(name)["get_tool_start_raises"])[0]
    assert "is asynchronous, but the call of it is not" in json.dumps(
        told(name)["get_tool_start_awaitable"]["chats"]
    )
    assert len(results(told(name)["intervention_start_skips"])) == 2
    assert kinds(told(name)["cancelled_skips_end"], "wrong") == []
    assert "Agent" in told(name)["extensions_log"]["stdout"]


@pytest.mark.parametrize("name", EXTENSIBLE)
@pytest.mark.parametrize("function", ["get_tool", "handle_intervention", "process_tools"])
def test_a_point_becomes_non_empty_when_the_cache_is_cleared(name, function, told):
    events = told(name)[f"appears_{function}_start"]["events"]
    marks = [e.get("at") or "point" for e in events if e["kind"] == "point" or e["kind"] == "event"]
    first, last = marks.index("point"), len(marks) - marks[::-1].index("point")
    assert marks.index("reply:3") < first
    assert last <= marks.index("reply:5")


def test_v2_runs_a_tool_on_three_paths(told):
    transcript = told("v2")["three_paths"]
    history = json.dumps(transcript["chats"]["main"]["history"])
    assert "function_call_output" in history
    assert any(key.endswith("on Background") for key in transcript["events"])
    assert results(transcript)[0] == "old"
    assert results(transcript)[-1] == "new one"


@pytest.mark.parametrize("name", NAMES)
def test_a_host_starts_by_itself(name, tmp_path):
    root = shutil.copytree(HOSTS / name, tmp_path / name)
    reply = {"tool_name": "response", "tool_args": {"text": "hello"}}
    script = json.dumps({"message": "hi", "replies": [reply]})
    command = [sys.executable, str(root / "run_ui.py"), "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["answer"] == "hello", done.stderr
