"""The API served in this process on a real port, over SmolLM2 or a script."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from twokeys.api.patience import PATIENCE, Patience
from twokeys.api.routes import ApiRoutes
from twokeys.api.server import make_api, nothing_to_load
from twokeys.config import load_config
from twokeys.engines.scripted import ScriptedEngine
from twokeys.services import Services, build_services
from twokeys.web.security import HostRule, SecurityMiddleware
from twokeys.web.server import Server, bind, listening_at, uvicorn_config


@dataclass(frozen=True, slots=True)
class Api:
    """A served API and a key for it."""

    url: str
    key: str
    services: Services
    routes: ApiRoutes

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


class ServeScript(Protocol):
    """Serves a scripted engine."""

    def __call__(self, engine: ScriptedEngine, patience: Patience = PATIENCE) -> Api: ...


def _serve(services: Services, patience: Patience = PATIENCE) -> tuple[Api, Callable[[], None]]:
    api = make_api(services, patience=patience)
    key = api.keys.add("tests").key
    bound = bind("127.0.0.1", 0)
    listening = listening_at(bound, "127.0.0.1")
    security = Middleware(
        SecurityMiddleware, hosts=HostRule("127.0.0.1"), policy=nothing_to_load, foreign=api.origins.may_ask
    )
    app = Starlette(routes=api.routes(), middleware=[security])
    ready = threading.Event()
    server = Server(uvicorn_config(app, listening), ready.set, api.close)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True)
    thread.start()
    assert ready.wait(20)

    def end() -> None:
        server.should_exit = True
        thread.join(20)
        bound.close()

    return Api(listening.url, key, services, api), end


@pytest.fixture(scope="module")
def real_api(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """SmolLM2 behind the API, for a whole module."""
    home = tmp_path_factory.mktemp("api")
    services = build_services(load_config({"TWOKEYS_HOME": str(home)}, model=str(smollm2)))
    api, end = _serve(services)
    yield api
    end()
    services.close()


@pytest.fixture(scope="module")
def qwen_api(qwen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Qwen2.5-Coder behind the API, for a whole module: it has tools and fill-in-the-middle tokens."""
    home = tmp_path_factory.mktemp("api")
    services = build_services(load_config({"TWOKEYS_HOME": str(home)}, model=str(qwen)))
    api, end = _serve(services)
    yield api
    end()
    services.close()


@pytest.fixture
def serve_script(home: Path) -> Iterator[ServeScript]:
    """Serve a scripted engine."""
    ends: list[Callable[[], None]] = []

    def serve(engine: ScriptedEngine, patience: Patience = PATIENCE) -> Api:
        services = build_services(load_config(), engine=engine)
        api, end = _serve(services, patience)
        ends.extend((end, services.close))
        return api

    yield serve
    for end in ends:
        end()
