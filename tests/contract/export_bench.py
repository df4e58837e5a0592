"""Memory and time of reading a bulk export of all levels: `python tests/contract/export_bench.py [items] [locations]`.

A process of its own serves the file, so that only the reader's memory counts. Prints the file's size and the reader's peak.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime

from aiohttp import web

from oneshelf.channels.contract import ExportState, Http, Request, Response
from oneshelf.channels.shopify import connect
from oneshelf.runtime.transport import AioHttp

NAMES = ("available", "committed", "on_hand", "reserved", "incoming", "damaged", "quality_control", "safety_stock")


def _lines(items: int, locations: int) -> list[bytes]:
    made = []
    quantities = [{"name": name, "quantity": 12} for name in NAMES]
    for item in range(items):
        gid = f"gid://shopify/InventoryItem/{48513488879793 + item}"
        made.append({"id": gid})
        for place in range(locations):
            level = f"gid://shopify/InventoryLevel/11001200657{place}?inventory_item_id={48513488879793 + item}"
            location = {"id": f"gid://shopify/Location/6100000000{place}"}
            row = {"item": {"tracked": True}, "id": level, "location": location, "quantities": quantities}
            made.append({**row, "__parentId": gid})
    return [json.dumps(row, separators=(",", ":")).replace("/", "\\/").encode() + b"\n" for row in made]


def serve(items: int, locations: int) -> None:
    body = b"".join(_lines(items, locations))

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/x.jsonl", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], len(body), flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


class Answers:
    """The export's state is answered here; its file comes by the real transport."""

    def __init__(self, http: Http, url: str) -> None:
        self._http = http
        self._url = url

    async def request(self, request: Request) -> Response:
        if request.bare:
            return await self._http.request(request)
        operation = {"id": "gid://shopify/BulkOperation/1", "status": "COMPLETED", "objectCount": "1", "url": self._url}
        body = json.dumps({"data": {"bulkOperation": {**operation, "createdAt": "2026-11-23T11:50:00Z"}}}).encode()
        return Response(200, {}, body, datetime.now(UTC))

    def lines(self, request: Request, **bounds: int):  # type: ignore[no-untyped-def]
        return self._http.lines(request, **bounds)


async def read(url: str) -> int:
    http = AioHttp(allow_private=True)
    shop = connect({"shop": "demo.myshopify.com", "currency": "EUR"})
    state = ExportState("gid://shopify/BulkOperation/1", "done", url=url)
    try:
        count = 0
        async for batch in shop.levels_export(Answers(http, url), state):
            count += len(batch)
        return count
    finally:
        await http.close()


def main() -> None:
    items, locations = (int(x) for x in (sys.argv[1:] or ["100000", "2"])[:2])
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", str(items), str(locations)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port, size = server.stdout.readline().split()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()
        count = asyncio.run(read(f"http://127.0.0.1:{port}/x.jsonl"))
        took = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{count} levels, file {int(size) / 2**20:.0f} MiB: {took:.1f} s, peak {after / 1024:.0f} MiB, "
            f"{(after - before) / 1024:.0f} MiB more than before"
        )
    finally:
        server.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
