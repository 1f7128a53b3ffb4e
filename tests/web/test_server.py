"""Starting and ending the server as a process."""

import asyncio
import signal
import socket
from collections.abc import Callable

import httpx
import websockets
from demo_server import Demo, run_scene

from twokeys.ui.screens import site
from twokeys.web.page import SCRIPT
from twokeys.web.runtime import get_services, set_services
from twokeys.web.server import bind, streamlit_config


def test_it_starts_says_its_address_and_is_healthy(demo: Demo) -> None:
    assert httpx.get(f"{demo.url}/_stcore/health", trust_env=False).text == "ok"
    page = httpx.get(demo.url, trust_env=False)
    assert page.status_code == 200
    assert "server" not in page.headers


def test_every_page_is_told_where_its_server_is_so_that_no_wrong_guess_is_logged(demo: Demo) -> None:
    for name in ("compare", "handbook"):  # those of serve_demo.py
        page = httpx.get(f"{demo.url}/{name}", trust_env=False)
        assert page.status_code == 200
        assert page.text.count(SCRIPT) == 1
    script = httpx.get(f"{demo.url}/twokeys/base.js", trust_env=False)
    assert "BACKEND_BASE_URL" in script.text
    assert script.headers["content-type"].startswith("text/javascript")


def test_it_leaves_by_itself_with_listeners_connected(demo: Demo) -> None:
    async def scene() -> None:
        url = demo.url.replace("http", "ws")
        async with (
            websockets.connect(f"{url}/twokeys/live?topic=x", origin=demo.url, proxy=None) as live,  # type: ignore[arg-type]
            websockets.connect(f"{url}/_stcore/stream", origin=demo.url, proxy=None),  # type: ignore[arg-type]
        ):
            await live.recv()
            await asyncio.to_thread(demo.stop)
            await live.wait_closed()
            assert live.close_code in (1001, 1012)

    run_scene(scene())
    assert demo.process.returncode == 0


def test_ctrl_c_is_a_clean_end(demo: Demo) -> None:
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(5) == 0


def test_small_pieces_of_an_answer_are_sent_at_once() -> None:
    """Else the system holds the second piece back until the first is acknowledged: up to 40 ms."""

    async def nodelay() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        bound = bind("127.0.0.1", 0)
        async with await asyncio.start_server(note, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            writer.close()
            return await asyncio.wait_for(accepted, 10)

    assert asyncio.run(nodelay()) != 0


def test_a_taken_port_makes_way_for_the_next_free_one(start_demo: Callable[..., Demo]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start_demo(port=port)
        assert port < int(demo.url.rpartition(":")[2]) < port + 50


def test_two_apps_get_two_ports(start_demo: Callable[..., Demo]) -> None:
    with bind("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    first, second = start_demo(port=port), start_demo(port=port)
    assert first.url != second.url


def test_streamlit_is_told_to_stay_quiet_and_local() -> None:
    options = streamlit_config("127.0.0.1", 1, site().theme)
    assert options["browser.gatherUsageStats"] is False
    assert options["server.address"] == "127.0.0.1"
    assert options["server.allowedHosts"] == ["127.0.0.1", "localhost", "::1"]
    assert options["client.showErrorDetails"] == "none"
    from streamlit import config

    unknown = [name for name in options if name not in config._config_options_template]
    assert unknown == []


def test_the_holder_refuses_when_nothing_runs() -> None:
    set_services(None)
    try:
        get_services()
    except RuntimeError as error:
        assert "twokeys ui" in str(error)
    else:
        raise AssertionError("no services, no error")
