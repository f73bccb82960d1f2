"""sluice flow show and graph: who writes into what, stages, groups."""
import json
import os
import shutil
import subprocess

from sluice_broker import SLUICE, SOURCE, Broker, loader, wait_for
from test_group_command import commit

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


load_tests = loader(globals())
