"""The two brokers that are compared: Apache Kafka from Maven, one node in KRaft mode, and Sluice; configured alike.

Each has `ports`: "main", where nobody logs in and User:ANONYMOUS may do everything, and "secured", where clients log in
with PLAIN and may do what rules allow (Sluice: a broker of its own)."""
import os
import shutil
import subprocess
import tempfile

import sluice_broker

HERE = os.path.dirname(os.path.abspath(__file__))
JARS = os.path.join(sluice_broker.SOURCE, "build", "compare", "jars")
PASSWORDS = {"admin": "secret of admin", "alice": "secret of alice"}
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{main},SASL_PLAINTEXT://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={home}/data
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""
HEAP = ["-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


def jars():
    """Apache Kafka's, from Maven; kept, so that a second run needs no network. None with a reason where they cannot be had."""
    pom = os.path.join(HERE, "kafka", "pom.xml")
    stamp = os.path.join(JARS, "pom.xml")
    with open(pom, "rb") as wanted:
        text = wanted.read()
    if os.path.exists(stamp) and open(stamp, "rb").read() == text:
        return None
    for tool in ("mvn", "java"):
        if shutil.which(tool) is None:
            return tool + " is not on this machine"
    shutil.rmtree(JARS, ignore_errors=True)
    os.makedirs(JARS)
    for offline in (["-o"], []):
        done = subprocess.run(["mvn", "-B", "-q", *offline, "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory=" + JARS],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=400)
        if done.returncode == 0:
            shutil.copy(pom, stamp)
            return None
    return "Maven could not bring Apache Kafka: " + done.stdout.decode(errors="replace")[-500:]


class ApacheKafka:
    name, epoch = "kafka", 0  # of the leader of a new partition

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="sluice-compare-")
        self.ports = {name: sluice_broker.free_port() for name in ("main", "secured", "controller")}
        self.log_path = os.path.join(self.home, "log")
        users = " ".join('user_%s="%s"' % user for user in PASSWORDS.items())
        self.config = os.path.join(self.home, "server.properties")
        with open(self.config, "w") as file:
            file.write(PROPERTIES.format(home=self.home, users=users, **self.ports))
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", self.config),
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.java("kafka.Kafka", self.config), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            sluice_broker.wait_for(lambda: self.process.poll() is not None or "Kafka Server started" in self.log(), "Apache Kafka", 0.1)
            assert self.process.poll() is None, self.log()[-3000:]
        except BaseException:
            self.close()
            raise

    @staticmethod
    def java(*words):
        return ["java", *HEAP, "-cp", JARS + "/*", *words]

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


class Sluice:
    name, epoch = "sluice", 1

    def __init__(self):
        rules = ("security.authorization=true", "security.super_users=User:ANONYMOUS,User:admin")
        self.brokers = {"main": sluice_broker.Broker(*rules, start=False),
                        "secured": sluice_broker.Broker("kafka.sasl.mechanisms=PLAIN", *rules, start=False)}
        self.ports = {}
        try:
            for name, broker in self.brokers.items():
                broker.start()
                self.ports[name] = broker.kafka
            for user, password in PASSWORDS.items():
                code, _, error = self.brokers["secured"].run("user", "add", user, stdin=password.encode() + b"\n")
                assert code == 0, error
        except BaseException:
            self.close()
            raise

    def log(self):
        return "".join(broker.log() for broker in self.brokers.values())

    def close(self):
        for broker in self.brokers.values():
            broker.close()
