"""sluice flow show and graph: who writes into what, stages, groups."""
import json
import os
import shutil
import subprocess
import sys

try:
    from confluent_kafka import Consumer, TopicPartition
except ImportError as error:
    MISSING = str(error)

from sluice_broker import SLUICE, SOURCE, Broker, loader, wait_for
from test_group_command import commit

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from sluice_native import Client  # noqa: E402

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


def test_the_flow_is_shown_from_producers_through_stages_to_groups():
    with Broker() as broker:
        shutil.copy(MASK, os.path.join(broker.home, "plugins"))
        wait_for(lambda: [row["state"] for row in broker.ask("plugin.list")["plugins"]] == ["running"], "the stage")
        broker.produce("orders", ['{"card":"4111 1111 1111 1111"}'] * 5, "-X", "client.id=shop")
        wait_for(lambda: broker.ask("plugin.list")["plugins"][0]["records_out"] == "5", "the stage's records")
        commit(broker, "billing", "orders.masked", p0=2)
        model = broker.json("flow", "show")
        edges = {(edge["from"], edge["to"]): edge for edge in model["edges"]}
        assert edges["producer:shop", "topic:orders"]["records"] == "5", edges
        assert edges["topic:orders", "stage:mask"]["lag"] == "0", edges
        assert ("stage:mask", "topic:orders.masked") in edges
        assert edges["topic:orders.masked", "group:billing"]["lag"] == "3"
        assert int(edges["topic:orders.masked", "group:billing"]["lag_ms"]) >= 0
        assert {row["what"] for row in model["pressure"]} == {"buffers", "memory", "log"}
        # The others at the same time: each looks twice, with a pause.
        shown = [subprocess.Popen([SLUICE, "flow", *words, "--home", broker.home], stdout=subprocess.PIPE)
                 for words in (["show"], ["graph"], ["graph", "--format", "dot"], ["graph", "--format", "json"])]
        table, tree, dot, graph = (one.communicate(timeout=60)[0].decode() for one in shown)
        assert "producer shop" in table and "group billing" in table, table
        assert tree.splitlines()[0] == "shop" and "(billing)" in tree and "[mask]" in tree and "└─ orders" in tree, tree
        assert dot.startswith("digraph flow {") and '"stage:mask" -> "topic:orders.masked"' in dot, dot
        assert json.loads(graph)["edges"]
        assert broker.run("flow", "graph", "--format", "svg")[0] != 0


def test_who_reads_without_a_group_is_shown_and_a_member_of_one_is_not_twice():
    with Broker() as broker, Client(("127.0.0.1", broker.native), name="pushed") as native:
        broker.produce("orders", ["one", "two"])
        group = {"bootstrap.servers": broker.address, "client.id": "worker", "group.id": "billing", "auto.offset.reset": "earliest"}
        worker, alone = Consumer(group), Consumer(dict(group, **{"client.id": "alone", "group.id": "unused"}))
        worker.subscribe(["orders"])
        alone.assign([TopicPartition("orders", 0, 0)])  # of a group by its name only: it commits nothing
        native.subscribe("orders")
        wait_for(lambda: (worker.poll(0.2), worker.commit(asynchronous=False))[0], "a record")
        alone.poll(5)
        readers = {(row["client"], row["topic"]) for row in broker.ask("flow")["readers"]}
        assert readers >= {("worker", "orders"), ("alone", "orders"), ("pushed", "orders")}, readers
        edges = {(edge["from"], edge["to"]): edge for edge in broker.json("flow", "show")["edges"]}
        assert {to for _, to in edges} == {"topic:orders", "group:billing", "reader:alone", "reader:pushed"}, edges
        assert edges["topic:orders", "reader:alone"]["records_per_s"] is None
        worker.close()
        alone.close()


load_tests = loader(globals())
