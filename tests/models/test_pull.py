"""``gemma-notebook models pull`` against a hub on loopback: whole and checked, or not there at all."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from installed_command import Command
from loopback_hub import COMMIT, Hub

from gemma_notebook.models.fetch import part_name
from gemma_notebook.models.resolve import resolve_model

TINY = resolve_model("tiny").read_bytes()

# The library writes in pieces of ten megabytes: something to go on with takes more than one.
LARGE = random.Random(7).randbytes(24_000_000)
FIRST_PIECE = 10 * 1024 * 1024


def pulled(command: Command) -> Path:
    return command.home / "models" / "small.litertlm"


def assert_nothing_is_installed(command: Command) -> None:
    assert not pulled(command).exists()
    assert "small" not in command("models", "list", "--installed").stdout


def failure(command: Command, hub: Hub, **variables: object) -> str:
    """The sentence with which a pull fails; nothing may have been installed."""
    words = command("models", "pull", "small", status=4, **variables).stderr
    assert_nothing_is_installed(command)
    assert words.count("error: ") == 1
    assert "Traceback" not in words
    return words.partition("error: ")[2]


def test_a_model_that_was_pulled_is_whole_and_loads_by_its_name(command: Command, hub: Hub):
    hub.content = TINY
    before = command("chat", "small", status=3, input="Hello")
    assert "models pull small" in before.stderr
    done = command("models", "pull", "small")
    assert 'gn.load("small")' in done.stdout
    assert pulled(command).read_bytes() == TINY
    origin = json.loads(pulled(command).with_suffix(".json").read_text())
    assert (origin["repo"], origin["revision"], origin["sha256"]) == ("acme/small", COMMIT, hub.sha256)
    assert "Ada" in command("chat", "small", input="My name is Ada.").stdout


def test_a_pulled_model_is_not_fetched_again_unless_forced(command: Command, hub: Hub):
    hub.content = TINY
    for _ in range(2):
        command("models", "pull", "small")
    assert len(hub.downloads) == 1
    command("models", "pull", "small", "--force")
    assert len(hub.downloads) == 2


def test_json_tells_a_script_where_it_is(command: Command, hub: Hub):
    hub.content = TINY
    answer = json.loads(command("models", "pull", "small", "--json").stdout)
    assert answer["path"] == str(pulled(command))
    assert answer["sha256"] == hub.sha256


def test_a_gated_model_without_a_token_says_all_that_is_to_be_done(command: Command, hub: Hub):
    hub.token = "good"
    words = failure(command, hub)
    for step in ("/acme/small", "/settings/tokens", "hf auth login", "HF_TOKEN"):
        assert step in words


def test_a_wrong_token_is_named_as_such(command: Command, hub: Hub):
    hub.token = "good"
    words = failure(command, hub, HF_TOKEN="wrong")
    assert "does not accept the token from HF_TOKEN" in words
    assert "wrong" not in words


def test_a_token_whose_account_has_not_accepted_the_licence_is_told_where_to(command: Command, hub: Hub):
    hub.token, hub.consented = "good", False
    words = failure(command, hub, HF_TOKEN="good")
    assert "has not accepted the licence" in words
    assert f"{hub.address}/acme/small" in words


def test_the_token_goes_to_the_hub_and_not_to_where_the_hub_sends_us(command: Command, hub: Hub):
    hub.content, hub.token = TINY, "good"
    command("models", "pull", "small", HF_TOKEN="good")
    assert {one.authorization for one in hub.requests if "/resolve/" in one.path} == {"Bearer good"}
    assert [one.authorization for one in hub.downloads] == [None]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((404, "RepoNotFound", ""), "there is no repository 'acme/small'"),
        ((404, "RevisionNotFound", ""), "has no revision 'main'"),
        ((404, "EntryNotFound", ""), "has no file 'model.litertlm'"),
        ((403, "", "Forbidden"), "forbids acme/small to this token"),
        ((407, "", "Proxy Authentication Required"), "the proxy wants a name and a password"),
        ((429, "", "Too many"), "asks to wait"),
        ((500, "", "Oops"), "answered 500 (Oops)"),
        ((503, "", ""), "answered 503"),
    ],
)
def test_a_refusal_of_the_hub_is_a_sentence_with_a_remedy(command: Command, hub: Hub, refusal, words):
    hub.refuse = refusal
    assert words in failure(command, hub)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "there is no connection to http://127.0.0.1:9"),
        ({"HTTP_PROXY": "http://user:secret@127.0.0.1:9"}, "through the proxy 127.0.0.1"),
        ({"HTTP_PROXY": "user:secret@127.0.0.1:9"}, "through the proxy 127.0.0.1"),
        ({"HF_ENDPOINT": "nonsense"}, "no address of a hub; check HF_ENDPOINT"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_no_way_to_the_hub_is_a_sentence_with_a_remedy(command: Command, hub: Hub, variables, words):
    said = failure(command, hub, **variables)
    assert words in said
    assert "secret" not in said


def test_a_proxy_is_used(command: Command, hub: Hub):
    """The hub stands for the proxy: the address that is asked for leads nowhere."""
    hub.content = TINY
    command("models", "pull", "small", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.address)
    assert pulled(command).read_bytes() == TINY
    assert hub.requests[-2].path.startswith("http://hub.invalid/acme/small/resolve/")


def test_a_certificate_that_is_not_trusted_is_named(command: Command, tls_address: str):
    said = command("models", "pull", "gemma3-1b", status=4, HF_ENDPOINT=tls_address).stderr
    assert "is not one that is trusted here" in said
    assert "SSL_CERT_FILE" in said


def test_a_page_that_is_no_hub_is_recognised(command: Command, hub: Hub):
    hub.refuse = (200, "", "a login page of the hotel")
    assert "was not answered by a Hugging Face hub" in failure(command, hub)


def test_wrong_bytes_are_thrown_away(command: Command, hub: Hub):
    hub.content, hub.corrupt = TINY, True
    assert "is damaged: its sha256" in failure(command, hub)
    assert not list(command.home.rglob("*.part"))
    hub.corrupt = False
    command("models", "pull", "small")
    assert pulled(command).read_bytes() == TINY


def test_another_file_than_the_catalogue_knows_is_not_fetched(command: Command, hub: Hub):
    hub.content = TINY
    with (command.home / "catalogue.toml").open("a") as catalogue:
        catalogue.write(f'sha256 = "{"0" * 64}"\n')
    assert "another file" in failure(command, hub)
    assert not hub.downloads


def test_a_connection_that_breaks_is_gone_on_with(command: Command, hub: Hub):
    hub.content, hub.cut_after = LARGE, [15_000_000]
    command("models", "pull", "small", "--quiet")
    assert pulled(command).read_bytes() == LARGE
    assert [one.range for one in hub.downloads] == [None, f"bytes={FIRST_PIECE}-"]


def test_a_process_that_was_killed_leaves_what_the_next_one_goes_on_with(command: Command, hub: Hub):
    hub.content, hub.gate = LARGE, threading.Event()
    first = command.start("models", "pull", "small")
    assert hub.half_sent.wait(60)
    (part,) = _wait_for_part(command)
    first.kill()
    first.communicate()
    assert_nothing_is_installed(command)
    hub.gate.set()
    done = command("models", "pull", "small")
    assert "going on with small at 10" in done.stderr
    assert pulled(command).read_bytes() == LARGE
    assert hub.downloads[-1].range == f"bytes={FIRST_PIECE}-"
    assert not part.exists()


def test_a_hub_that_sends_the_whole_again_makes_no_mess(command: Command, hub: Hub):
    hub.content, hub.cut_after, hub.ignores_ranges = LARGE, [15_000_000], True
    command("models", "pull", "small", "--quiet")
    assert pulled(command).read_bytes() == LARGE


def test_a_damaged_beginning_is_fetched_anew(command: Command, hub: Hub):
    hub.content = TINY
    _leave_a_part(command, hub, b"\0" * 1000)
    done = command("models", "pull", "small")
    assert "fetching it anew" in done.stderr
    assert pulled(command).read_bytes() == TINY


def test_a_part_that_is_too_long_is_fetched_anew(command: Command, hub: Hub):
    hub.content = TINY
    _leave_a_part(command, hub, TINY + b"more")
    command("models", "pull", "small")
    assert pulled(command).read_bytes() == TINY


def test_what_is_left_of_another_version_is_not_gone_on_with(command: Command, hub: Hub):
    hub.content = TINY
    _leave_a_part(command, hub, TINY[:1000])
    hub.content = TINY[:-1] + b"!"
    command("models", "pull", "small")
    assert pulled(command).read_bytes() == hub.content
    assert [one.range for one in hub.downloads if one.range] == []


def test_ctrl_c_stops_a_pull_and_keeps_what_came(command: Command, hub: Hub):
    hub.content, hub.gate = LARGE, threading.Event()
    pulling = command.start("models", "pull", "small")
    assert hub.half_sent.wait(60)
    _wait_for_part(command)
    pulling.send_signal(signal.SIGINT)
    _, words = pulling.communicate(timeout=60)
    assert pulling.returncode == 130
    assert "Traceback" not in words
    assert "what came is kept" in words
    assert_nothing_is_installed(command)
    assert list(command.home.rglob("*.part"))


def test_two_processes_that_pull_at_once_share_one_download(command: Command, hub: Hub):
    hub.content, hub.gate = TINY, threading.Event()
    first = command.start("models", "pull", "small")
    assert hub.half_sent.wait(60)
    second = command.start("models", "pull", "small")
    assert second.stderr is not None
    assert "another process is fetching small" in second.stderr.readline()
    hub.gate.set()
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(hub.downloads) == 1
    assert pulled(command).read_bytes() == TINY


def test_what_another_program_has_fetched_is_not_fetched_again(command: Command, hub: Hub, tmp_path: Path):
    hub.content = TINY
    snapshot = tmp_path / "huggingface" / "hub" / "models--acme--small" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.litertlm").write_bytes(TINY)
    assert "copying it from the cache" in command("models", "pull", "small").stderr
    assert pulled(command).read_bytes() == TINY
    assert not hub.downloads
    (snapshot / "model.litertlm").write_bytes(bytes(len(TINY)))
    assert "fetching it anew" in command("models", "pull", "small", "--force").stderr
    assert pulled(command).read_bytes() == TINY


def test_too_little_space_is_seen_before_anything_is_fetched(command: Command, hub: Hub):
    hub.content, hub.size = TINY, 10**16
    assert "are to come and" in failure(command, hub)
    assert not hub.downloads


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(command: Command, hub: Hub):
    hub.content = LARGE
    words = failure(command, hub, preexec_fn=_no_file_above_12_megabytes)
    assert "the disk is full, or a quota is used up" in words
    (part,) = command.home.rglob("*.part")
    assert FIRST_PIECE <= part.stat().st_size <= 12_000_000
    command("models", "pull", "small", "--quiet")
    assert pulled(command).read_bytes() == LARGE


def test_a_store_that_is_a_file_is_told(command: Command, hub: Hub):
    (command.home / "models").write_text("not a directory")
    assert "cannot be written" in command("models", "pull", "small", status=1).stderr


def test_an_unknown_name_lists_near_ones(command: Command):
    assert "did you mean 'gemma3-1b'" in command("models", "pull", "gema3-1b", status=3).stderr


def test_the_bundled_model_is_not_fetched(command: Command):
    assert "load it with" in command("models", "pull", "tiny", status=2).stderr


def test_a_load_never_fetches(command: Command, hub: Hub):
    hub.content = TINY
    script = "import gemma_notebook as gn\ntry: gn.load('small')\nexcept gn.errors.ModelNotInstalledError as e: print(e)"
    done = subprocess.run(
        [*command.line()[:1], "-c", script],
        env=command.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "models pull small" in done.stdout
    assert "gn.pull('small')" in done.stdout
    assert not hub.requests


def _wait_for_part(command: Command) -> list[Path]:
    from support import wait_until

    wait_until(lambda: any(one.stat().st_size >= FIRST_PIECE for one in command.home.rglob("*.part")))
    return list(command.home.rglob("*.part"))


def _leave_a_part(command: Command, hub: Hub, beginning: bytes) -> None:
    folder = command.home / "models" / ".staging" / "small"
    folder.mkdir(parents=True)
    (folder / part_name(hub.sha256)).write_bytes(beginning)


def _no_file_above_12_megabytes() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000_000, 12_000_000))
