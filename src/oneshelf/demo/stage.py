"""Sets the stage: marketplaces running, a fresh service beside them, all four channels connected and live."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvicorn

from oneshelf.onboarding.bring_up import BroughtUp, bring_up
from oneshelf.onboarding.marketplace import Preview
from oneshelf.settings import Settings
from oneshelf.web.serve import listen, quiet_server
from oneshelf.wiring import Service, build_channel

from .emulator import Marketplaces, entered

CHANNELS = ("shopify", "amazon", "ebay", "etsy")
#: Durations at the emulated marketplaces are this many times shorter, so that 30 minutes of Amazon's pending fit into a demo.
FACTOR = 60.0


class Stage:
    """A running demo. `folder`: where its database lies; removed at the end unless it was given."""

    def __init__(
        self,
        marketplaces: Marketplaces,
        service: Service,
        server: uvicorn.Server,
        sock: socket.socket,
        url: str,
        factor: float,
    ) -> None:
        self.marketplaces = marketplaces
        self.service = service
        self.url = url
        self.factor = factor
        self.brought_up: list[BroughtUp] = []
        self._server = server
        self._serving = asyncio.ensure_future(server.serve(sockets=[sock]))

    async def connect(self, say: Callable[[str], None]) -> None:
        """Connect the four channels by the way a merchant goes, and let each go live."""

        async def accept(_: Preview) -> bool:
            return True

        for channel in CHANNELS:
            if channel == "etsy":
                await self.marketplaces.ask("POST", "/etsy/webhooks", {"url": f"{self.url}/webhooks/etsy"})
            typed = entered(
                channel, self.marketplaces.credentials[channel], self.marketplaces.urls[channel], self.factor
            )
            self.brought_up.append(
                await bring_up(
                    self.service,
                    typed,
                    build=build_channel,
                    callback_url=None if channel == "amazon" else f"{self.url}/webhooks/{channel}",
                    say=say,
                    accept=accept,
                    look_every_s=0.3,
                )
            )

    async def close(self) -> None:
        """Stop the service; the marketplaces go on."""
        self._server.should_exit = True
        await self.service.stop()
        await asyncio.wait([self._serving], timeout=5)

    async def strike(self) -> None:
        """Take it all down."""
        await self.close()
        await self.marketplaces.stop()


async def set_stage(
    *,
    seed: int,
    port: int = 0,
    products: int = 40,
    products_file: str | None = None,
    folder: Path | None = None,
    factor: float = FACTOR,
) -> Stage:
    """Start emulator, service and web server on this machine. Raises Stop with what to do."""
    marketplaces = await Marketplaces.start(seed=seed, factor=factor, products=products, products_file=products_file)
    try:
        sock = listen("127.0.0.1", port)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        service = Service(demo_settings(folder or Path(tempfile.mkdtemp(prefix="oneshelf-demo-")), url, factor))
        await service.start()
        server = quiet_server(service, url)
        return Stage(marketplaces, service, server, sock, url, factor)
    except BaseException:
        await marketplaces.stop()
        raise


def demo_settings(folder: Path, url: str, factor: float) -> Settings:
    """The settings of a demo: a folder of its own, private addresses allowed, polls as much shorter as the marketplaces' durations."""
    return Settings(
        data_dir=folder,
        public_url=url,
        allow_private_endpoints=True,
        poll_shopify_s=3,
        poll_amazon_s=max(1.0, 180 / factor),
        poll_ebay_s=4,
        poll_etsy_s=5,
        not_found_after_s=max(2.0, 60 / factor),
        queue_wait_s=1,
        log_level="error",
    )


def forget(folder: Path) -> None:
    """Remove a demo's folder."""
    shutil.rmtree(folder, ignore_errors=True)
