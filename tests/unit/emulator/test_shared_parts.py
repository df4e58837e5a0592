"""What all four marketplaces stand on: the courier, the buckets, the fault gate and the in-process door."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oneshelf_emulator.clock import VirtualClock
from oneshelf_emulator.courier import Parcel
from oneshelf_emulator.door import RawPath, call, deliver_in_process
from oneshelf_emulator.throttle import Bucket, DayCounter, FaultGate
from oneshelf_emulator.world import World


def make_world(seed: int = 1, factor: float = 1.0) -> World:
    return World(seed=seed, clock=VirtualClock(factor=factor))


class Receiver:
    """A webhook receiver that answers with the statuses it is given, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []

    async def __call__(self, scope, receive, send) -> None:
        request = Request(scope, receive)
        self.bodies.append(await request.body())
        status = self.statuses.pop(0) if self.statuses else 200
        await Response(status_code=status)(scope, receive, send)


def parcel(body: bytes, **more) -> Parcel:
    return Parcel("etsy", "order.paid", "http://shop.test/hook?x=1", {"x-a": "b"}, body, **more)


async def advance(world: World, seconds: float, step: float = 1.0) -> None:
    """Let time pass in small steps, so that what a delivery causes happens at its time."""
    passed = 0.0
    while passed < seconds:
        world.clock.advance(min(step, seconds - passed))
        passed += step
        await world.courier.idle()


async def test_a_refused_parcel_is_tried_again_on_the_ladder_until_it_is_dead():
    world, receiver = make_world(), Receiver(500, 500, 500)
    world.courier.deliver = deliver_in_process({"http://shop.test": receiver})
    dead: list[str] = []
    world.courier.send(parcel(b"1", ladder=(10, 60), on_dead=lambda: dead.append("dead")), delay_s=5)
    await advance(world, 4)
    assert receiver.bodies == []
    await advance(world, 2)
    assert receiver.bodies == [b"1"]
    await advance(world, 12)
    assert receiver.bodies == [b"1", b"1"]
    await advance(world, 62)
    assert receiver.bodies == [b"1", b"1", b"1"]
    assert dead == ["dead"]
    assert world.courier.in_flight == 0


async def test_a_delivered_parcel_is_not_tried_again_and_the_factor_shortens_the_ladder():
    world, receiver = make_world(factor=10), Receiver(503)
    world.courier.deliver = deliver_in_process({"http://shop.test": receiver})
    done: list[str] = []
    world.courier.send(parcel(b"1", ladder=(100, 100), on_delivered=lambda: done.append("ok")))
    await advance(world, 9)
    assert len(receiver.bodies) == 1
    await advance(world, 30)
    assert len(receiver.bodies) == 2
    assert done == ["ok"]


@pytest.mark.parametrize(("fault", "expected"), [("webhook_drop", 0), ("webhook_double", 2)])
async def test_drop_and_double(fault: str, expected: int):
    world, receiver = make_world(), Receiver()
    world.courier.deliver = deliver_in_process({"http://shop.test": receiver})
    world.faults.arm(fault, "etsy")
    world.courier.send(parcel(b"1"))
    await advance(world, 120)
    assert (len(receiver.bodies) >= 2) if expected else receiver.bodies == []
    assert world.faults.injected == {fault: 1}


async def test_delay_comes_late_and_reorder_is_overtaken():
    world, receiver = make_world(), Receiver()
    world.courier.deliver = deliver_in_process({"http://shop.test": receiver})
    world.faults.arm("webhook_reorder", "etsy")
    world.courier.send(parcel(b"first"))
    world.courier.send(parcel(b"second"))
    await advance(world, 5)
    assert receiver.bodies == [b"second", b"first"]
    world.faults.arm("webhook_reorder", "etsy")
    world.courier.send(parcel(b"alone"))
    await advance(world, 61)
    assert receiver.bodies[-1] == b"alone"
    world.faults.arm("webhook_delay", "etsy")
    world.courier.send(parcel(b"late"))
    await advance(world, 29)
    assert receiver.bodies[-1] == b"alone"
    await advance(world, 900, step=10)
    assert receiver.bodies[-1] == b"late"


def test_a_bucket_refills_on_the_clock_and_the_factor_makes_it_faster():
    clock = VirtualClock(factor=10)
    bucket = Bucket(0.5, 2, clock)
    assert [bucket.take(), bucket.take(), bucket.take()] == [True, True, False]
    assert bucket.wait_s() == pytest.approx(0.2)
    clock.advance(0.2)
    assert bucket.take()
    clock.advance(3600)
    assert bucket.level == 2


def test_the_day_counter_slides():
    clock = VirtualClock()
    counter = DayCounter(2, clock)
    assert counter.take()
    clock.advance(3600)
    assert counter.take()
    assert not counter.take()
    assert counter.wait_s() == pytest.approx(82_800)
    clock.advance(82_801)
    assert counter.left == 1


def make_gate(world: World) -> tuple[FaultGate, list[str]]:
    done: list[str] = []

    async def write(request: Request) -> JSONResponse:
        done.append((await request.body()).decode())
        return JSONResponse({"path": request.path_params["sku"], "long": "x" * 100})

    app = Starlette(routes=[Route("/items/{sku}", write, methods=["POST"])])
    app.state.throttled_answer = lambda request: JSONResponse({"errors": "quota"}, 429)
    app.state.expired_answer = lambda request: JSONResponse({"errors": "expired"}, 401)
    return FaultGate(app, world, "etsy"), done


@pytest.mark.parametrize(
    ("fault", "status"), [("error_500", 500), ("error_503_html", 503), ("throttle", 429), ("expired_token", 401)]
)
async def test_early_faults_answer_and_do_nothing(fault: str, status: int):
    world = make_world()
    gate, done = make_gate(world)
    world.faults.arm(fault, "etsy", "POST /items/*")
    assert (await call(gate, "POST", "/items/a", body=b"1")).status == status
    assert done == []
    assert (await call(gate, "POST", "/items/a", body=b"2")).status == 200
    assert done == ["2"]


async def test_a_lost_answer_was_done_and_a_request_into_the_void_was_not():
    world = make_world()
    gate, done = make_gate(world)
    world.faults.arm("timeout_before", "etsy")
    with pytest.raises(TimeoutError):
        await call(gate, "POST", "/items/a", body=b"1")
    assert done == []
    world.faults.arm("timeout_after", "etsy")
    with pytest.raises(TimeoutError):
        await call(gate, "POST", "/items/a", body=b"2")
    assert done == ["2"]


async def test_a_cut_answer_is_shorter_than_it_says():
    world = make_world()
    gate, done = make_gate(world)
    world.faults.arm("cut_answer", "etsy")
    answer = await call(gate, "POST", "/items/a", body=b"1")
    assert done == ["1"]
    assert len(answer.body) < int(answer.headers["content-length"])


async def test_the_raw_path_keeps_a_slash_inside_its_segment():
    app = Starlette(routes=[Route("/items/{sku}", lambda r: JSONResponse(r.path_params["sku"]), methods=["GET"])])
    assert (await call(app, "GET", "/items/A%2F1")).status == 404
    answer = await call(RawPath(app), "GET", "/items/A%2F1?x=%2F")
    assert (answer.status, answer.body) == (200, b'"A%2F1"')


def test_a_fault_by_chance_spares_the_operations_it_was_told_to_spare() -> None:
    world = World(seed=1)
    world.faults.set("timeout_after", 1.0, "etsy", spare="createToken")
    world.faults.set("timeout_after", 1.0)
    assert world.faults.roll("timeout_after", "etsy", "getShopReceipts") is True
    assert world.faults.roll("timeout_after", "etsy", "createToken") is False
    assert world.faults.roll("timeout_after", "ebay", "createToken") is True  # spared on Etsy only
    world.faults.arm("timeout_after", "etsy", "createToken")
    assert world.faults.roll("timeout_after", "etsy", "createToken") is True  # armed, it strikes
