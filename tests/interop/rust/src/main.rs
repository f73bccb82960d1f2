//! rdkafka, over its bundled librdkafka, against the broker: the checks of ../README.md.
//!
//!     interop write ADDRESS NAME     all checks on topics NAME.*
//!     interop read ADDRESS TOPIC…    reads what other clients wrote
mod transactions;
mod ways;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS: usize = 300; // of a codec
const ROUND: usize = 400; // of one round of the group
const FEW: usize = 20; // of a codec with acks 0 or 1
const WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
type Bytes = Option<&'static [u8]>;
const SPECIAL: [(Bytes, Bytes); 5] = [
    // key, value
    (None, Some(b"no key")),
    (Some(b"tombstone"), None),
    (None, Some(b"")),
    (Some(b""), Some(b"empty key")),
    (None, None),
];
const HEADERS: [(&str, Bytes); 6] = [
    ("n", Some(b"3")),
    ("bin", Some(&[0, 0xff, 0x80])),
    ("dup", Some(b"1")),
    ("dup", Some(b"2")),
    ("empty", Some(b"")),
    ("null", None),
];

type Outcome<T = ()> = Result<T, String>;

fn value_of(i: usize) -> Vec<u8> {
    let size = if i == 7 || i == 8 { 300_000 } else { i * 37 % 1400 + 1 };
    let text = format!("sluice {i} ").into_bytes();
    let mut x = (i as u32).wrapping_mul(2_654_435_761);
    let mut out = Vec::with_capacity(size);
    for at in 0..size {
        out.push(if i % 2 == 0 { text[at % text.len()] } else { (x >> 24) as u8 });
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }
    out
}

fn require(is_true: bool, what: impl Fn() -> String) -> Outcome {
    if is_true { Ok(()) } else { Err(what()) }
}

fn until(is_true: impl Fn() -> bool, what: impl Fn() -> String) -> Outcome {
    let deadline = Instant::now() + WAIT;
    while !is_true() {
        require(Instant::now() < deadline, || format!("waited for {}", what()))?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// One that is not in CI's share.
fn later(name: &str, work: impl FnOnce() -> Outcome) {
    match std::env::var("INTEROP_SHARE").as_deref() {
        Ok("whole") => check(name, work),
        _ => println!("left {name}"),
    }
}

fn check(name: &str, work: impl FnOnce() -> Outcome) {
    match work() {
        Ok(()) => println!("ok {name}"),
        // every failure is a line, the others go on
        Err(error) => println!("fail {name}: {}", error.replace('\n', " ")),
    }
}

/// Keeps the offsets that the broker gave, in the order of the records, and the first failure.
#[derive(Clone, Default)]
struct Delivered(Arc<Mutex<(Vec<i64>, Option<String>)>>);

impl ClientContext for Delivered {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;
    fn generate_oauth_token(&self, _: Option<&str>) -> ways::Token {
        ways::token()
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let mut kept = self.0.lock().unwrap();
        match result {
            Ok(message) => kept.0.push(message.offset()),
            Err((error, _)) => kept.1 = Some(error.to_string()),
        }
    }
}

fn same_headers(message: &BorrowedMessage, expected: &[(&str, Option<&[u8]>)]) -> bool {
    let Some(headers) = message.headers() else { return expected.is_empty() };
    headers.count() == expected.len()
        && headers.iter().zip(expected).all(|(a, b)| a.key == b.0 && a.value == b.1)
}

struct Client {
    way: ways::Way,
    name: String,
}

impl Client {
    fn config(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("broker.address.family", "v4");
        if let Ok(what) = std::env::var("INTEROP_DEBUG") {
            config.set("debug", what);
        }
        let way = self.way.iter().map(|(key, value)| (*key, value.as_str()));
        for (key, value) in way.chain(more.iter().copied()) {
            config.set(key, value);
        }
        config
    }

    fn admin(&self) -> Outcome {
        let admin: AdminClient<DefaultClientContext> =
            self.config(&[]).create().map_err(text)?;
        let options = AdminOptions::new().operation_timeout(Some(WAIT));
        let topic = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let names: Vec<String> =
            CODECS.iter().chain(&["special", "acks", "txn", "out", "secure"]).map(|what| format!("{}.{what}", self.name)).collect();
        let [group, new, gone] = ["group", "new", "gone"].map(|what| format!("{}.{what}", self.name));
        let mut topics: Vec<NewTopic> = names.iter().map(|name| topic(name)).collect();
        topics.push(NewTopic::new(&group, 4, TopicReplication::Fixed(1)));
        topics.push(NewTopic::new(&new, 4, TopicReplication::Fixed(1)));
        topics.push(NewTopic::new(&gone, 2, TopicReplication::Fixed(1)));
        for done in block_on(admin.create_topics(&topics, &options)).map_err(text)? {
            done.map_err(|(name, code)| format!("{name}: {code}"))?;
        }
        let again = block_on(admin.create_topics(topics[..1].iter(), &options)).map_err(text)?;
        let exists = matches!(&again[0], Err((_, RDKafkaErrorCode::TopicAlreadyExists)));
        require(exists, || format!("creating a topic that exists: {again:?}"))?;
        let count = || -> Outcome<Option<usize>> {
            let listed = admin.inner().fetch_metadata(None, WAIT).map_err(text)?;
            let found = listed.topics().iter().find(|topic| topic.name() == gone);
            Ok(found.map(|topic| topic.partitions().len()))
        };
        require(count()? == Some(2), || "a new topic is not listed".into())?;
        for done in block_on(admin.delete_topics(&[&gone], &options)).map_err(text)? {
            done.map_err(|(name, code)| format!("{name}: {code}"))?;
        }
        require(count()?.is_none(), || "a deleted topic is listed".into())
    }

    /// After the group.
    fn describe(&self) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config(&[]).create().map_err(text)?;
        let (options, topic) = (AdminOptions::new(), format!("{}.special", self.name));
        let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "3600000");
        for done in block_on(admin.alter_configs([&change], &options)).map_err(text)? {
            done.map_err(|(_, code)| code.to_string())?;
        }
        let resource = ResourceSpecifier::Topic(&topic);
        for found in block_on(admin.describe_configs([&resource], &options)).map_err(text)? {
            let found = found.map_err(text)?;
            let value = found.get("retention.ms").and_then(|entry| entry.value.as_deref());
            require(value == Some("3600000"), || format!("retention.ms is {value:?}"))?;
        }
        let group = format!("{}.group", self.name);
        let listed = admin.inner().fetch_group_list(None, WAIT).map_err(text)?;
        require(listed.groups().iter().any(|one| one.name() == group), || "it is not listed".into())?;
        let about = admin.inner().fetch_group_list(Some(&group), WAIT).map_err(text)?;
        let state = about.groups().iter().map(|one| one.state()).next();
        require(state == Some("Empty"), || format!("state of the group: {state:?}"))
    }

    fn delete_group(&self) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config(&[]).create().map_err(text)?;
        let group = format!("{}.group", self.name);
        for done in block_on(admin.delete_groups(&[&group], &AdminOptions::new())).map_err(text)? {
            done.map_err(|(name, code)| format!("{name}: {code}"))?;
        }
        let listed = admin.inner().fetch_group_list(None, WAIT).map_err(text)?;
        require(listed.groups().iter().all(|one| one.name() != group), || "it is listed".into())
    }

    fn trim(&self) -> Outcome {
        let admin: AdminClient<DefaultClientContext> = self.config(&[]).create().map_err(text)?;
        let (topic, mut before) = (format!("{}.special", self.name), TopicPartitionList::new());
        before.add_partition_offset(&topic, 0, Offset::Offset(2)).map_err(text)?;
        let marks = block_on(admin.delete_records(&before, &AdminOptions::new())).map_err(text)?;
        let mark = marks.find_partition(&topic, 0).map(|one| one.offset());
        require(mark == Some(Offset::Offset(2)), || format!("low watermark {mark:?}"))
    }

    fn send<'a>(
        &self,
        codec: &str,
        acks: &str,
        records: impl Iterator<Item = BaseRecord<'a, [u8], [u8]>>,
    ) -> Outcome<Vec<i64>> {
        let idempotent = if acks == "all" { "true" } else { "false" };
        let delivered = Delivered::default();
        let producer: BaseProducer<Delivered> = self
            .config(&[
                ("acks", acks), ("enable.idempotence", idempotent), ("compression.codec", codec),
                ("linger.ms", "5"), ("message.timeout.ms", "25000"),
            ])
            .create_with_context(delivered.clone())
            .map_err(text)?;
        for record in records {
            producer.send(record).map_err(|(error, _)| text(error))?;
        }
        producer.flush(WAIT).map_err(text)?;
        let kept = delivered.0.lock().unwrap();
        kept.1.clone().map_or(Ok(kept.0.clone()), Err)
    }

    fn produce(&self, codec: &str) -> Outcome {
        let topic = format!("{}.{codec}", self.name);
        let records: Vec<_> = (0..RECORDS).map(|i| (format!("k{i}"), value_of(i))).collect();
        let offsets = self.send(codec, "all", records.iter().enumerate().map(|(i, (key, value))| {
            let n = i.to_string();
            let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(&n) });
            BaseRecord::to(&topic).key(key.as_bytes()).payload(&value[..]).headers(headers)
        }))?;
        require(offsets.iter().copied().eq(0..RECORDS as i64), || format!("offsets {offsets:?}"))
    }

    /// Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read.
    fn acks(&self) -> Outcome {
        let topic = format!("{}.acks", self.name);
        let mut sent = HashSet::new();
        for acks in ["0", "1"] {
            for codec in CODECS {
                let values: Vec<String> =
                    (0..FEW).map(|i| format!("acks {acks}, {codec}, {i}")).collect();
                let offsets = self.send(codec, acks, values.iter().map(|value| {
                    BaseRecord::to(&topic).payload(value.as_bytes())
                }))?;
                require(offsets.len() == FEW, || format!("{} of {FEW} were sent", offsets.len()))?;
                let told = offsets.iter().all(|offset| *offset >= 0);
                require(acks == "0" || told, || format!("offsets {offsets:?}"))?;
                sent.extend(values.into_iter().map(String::into_bytes));
            }
        }
        let left = Mutex::new(sent.clone());
        self.first(&topic, sent.len(), |_, message| {
            let came = left.lock().unwrap().remove(message.payload().unwrap_or_default());
            require(came, || format!("{:?} came", message.payload()))
        })
    }

    /// A reader of partition 0 from its beginning.
    fn alone(&self, topic: &str, isolation: &str) -> Outcome<BaseConsumer<ways::Context>> {
        let consumer: BaseConsumer<ways::Context> = self
            .config(&[
                ("group.id", "none"), ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "100"),
                ("isolation.level", isolation),
            ])
            .create_with_context(ways::Context)
            .map_err(text)?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, 0, Offset::Beginning).map_err(text)?;
        consumer.assign(&partitions).map_err(text)?;
        Ok(consumer)
    }

    /// Gives the first count records of partition 0 to see, from the beginning, without a group.
    fn first(
        &self,
        topic: &str,
        count: usize,
        see: impl Fn(usize, &BorrowedMessage) -> Outcome,
    ) -> Outcome {
        let consumer = self.alone(topic, "read_uncommitted")?;
        let deadline = Instant::now() + WAIT;
        let mut found = 0;
        while found < count {
            require(Instant::now() < deadline, || format!("only {found} records came"))?;
            if let Some(message) = consumer.poll(POLL) {
                see(found, &message.map_err(text)?)?;
                found += 1;
            }
        }
        let marks = consumer.fetch_watermarks(topic, 0, WAIT).map_err(text)?;
        require(marks == (0, count as i64), || format!("watermarks {marks:?}"))
    }

    fn read(&self, topic: &str) -> Outcome {
        self.first(topic, RECORDS, |i, message| {
            let n = i.to_string();
            require(message.offset() == i as i64, || format!("offset {}", message.offset()))?;
            let key = format!("k{i}");
            require(message.key() == Some(key.as_bytes()), || format!("key of {i}"))?;
            let value = value_of(i);
            require(message.payload() == Some(&value[..]), || format!("value of {i} differs"))?;
            let headers = [("n", Some(n.as_bytes()))];
            require(same_headers(message, &headers), || format!("headers of {i}"))
        })
    }

    fn special(&self) -> Outcome {
        let topic = format!("{}.special", self.name);
        self.send("none", "all", SPECIAL.iter().map(|(key, value)| {
            let headers = HEADERS
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: *value }));
            let mut record = BaseRecord::to(&topic).headers(headers);
            record.key = *key;
            record.payload = *value;
            record
        }))?;
        self.first(&topic, SPECIAL.len(), |i, message| {
            let (key, value) = SPECIAL[i];
            require(message.key() == key, || format!("key {:?} of {i}", message.key()))?;
            require(message.payload() == value, || format!("value {:?} of {i}", message.payload()))?;
            require(same_headers(message, &HEADERS), || format!("headers of {i}"))
        })
    }

    fn send_round(&self, topic: &str, first: usize) -> Outcome {
        let values: Vec<String> = (first..first + ROUND).map(text).collect();
        let offsets = self.send("none", "all", values.iter().enumerate().map(|(i, value)| {
            BaseRecord::to(topic).partition((i % 4) as i32).payload(value.as_bytes())
        }))?;
        require(offsets.len() == ROUND, || format!("{} of {ROUND} were sent", offsets.len()))
    }

    fn join(&self, topic: &str, protocol: &str, seen: &Seen) -> Outcome<Member> {
        let mut config = self.config(&[
            ("group.id", topic), ("enable.auto.commit", "false"), ("auto.offset.reset", "earliest"),
            ("topic.metadata.refresh.interval.ms", "2000"), ("group.protocol", protocol),
        ]);
        if protocol == "classic" { // with the other the broker says how often heartbeats come
            config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "300");
        }
        let consumer: BaseConsumer = config.create().map_err(text)?;
        consumer.subscribe(&[topic]).map_err(text)?;
        let state = Arc::new(State::default());
        let (seen, inner) = (seen.clone(), state.clone());
        Ok(Member { state, thread: thread::spawn(move || inner.consume(&consumer, &seen)) })
    }

    fn group(&self, topic: &str, protocol: &str) -> Outcome {
        let seen = Seen::default();
        let count = |n: usize, what: &str| {
            let size = || seen.lock().unwrap().len();
            until(|| size() >= n, || format!("{what}, seen {}", size()))
        };
        self.send_round(topic, 0)?;
        let first = self.join(topic, protocol, &seen)?;
        count(ROUND, "the first round")?;
        let second = self.join(topic, protocol, &seen)?;
        until(|| first.has(2) && second.has(2), || "two partitions each".into())?;
        self.send_round(topic, ROUND)?;
        count(2 * ROUND, "the second round")?;
        let second_read = second.state.count.load(SeqCst);
        require(second_read > 0, || "the second member read nothing".into())?;
        first.leave()?;
        until(|| second.has(4), || "all partitions at the one that stayed".into())?;
        self.send_round(topic, 2 * ROUND)?;
        count(3 * ROUND, "the third round")?;
        second.leave()?;
        seen.lock().unwrap().clear();
        self.send_round(topic, 3 * ROUND)?;
        let third = self.join(topic, protocol, &seen)?;
        count(ROUND, "the round after the commit")?;
        third.leave()?;
        let least = seen.lock().unwrap().iter().min().copied();
        require(least == Some(3 * ROUND), || format!("committed offsets went back: {least:?}"))
    }
}

/// What all members of the group have read.
type Seen = Arc<Mutex<HashSet<usize>>>;

#[derive(Default)]
struct State {
    stop: AtomicBool,
    partitions: AtomicUsize,
    count: AtomicUsize,
}

/// Reads, commits what it read, and leaves when told.
struct Member {
    state: Arc<State>,
    thread: thread::JoinHandle<Outcome>,
}

impl Member {
    fn has(&self, partitions: usize) -> bool {
        self.state.partitions.load(SeqCst) == partitions
    }

    fn leave(self) -> Outcome {
        self.state.stop.store(true, SeqCst);
        self.thread.join().map_err(|_| "a member panicked".to_string())?
    }
}

impl State {
    fn consume(&self, consumer: &BaseConsumer, seen: &Seen) -> Outcome {
        while !self.stop.load(SeqCst) {
            if let Some(message) = consumer.poll(POLL) {
                let message = message.map_err(text)?;
                let value = message.payload().map(String::from_utf8_lossy).unwrap_or_default();
                seen.lock().unwrap().insert(value.parse().map_err(text)?);
                self.count.fetch_add(1, SeqCst);
                consumer.commit_message(&message, CommitMode::Async).map_err(text)?;
            }
            let now = consumer.assignment().map_err(text)?.count();
            self.partitions.store(now, SeqCst);
        }
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Err(error) if error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset) => {
                Err(format!("commit: {error}"))
            }
            _ => Ok(()),
        } // dropping the consumer leaves the group
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mode, names) = (arguments[0].as_str(), &arguments[2..]);
    let way = ways::plain(arguments[1].clone());
    let client = Client { way, name: names[0].clone() };
    if mode == "read" {
        for topic in names {
            check(&format!("reads {topic}"), || client.read(topic));
        }
        return;
    }
    check("admin: create, list, delete topics", || client.admin());
    for codec in CODECS {
        check(&format!("produces {codec}, acks=all, idempotent"), || client.produce(codec));
        check(&format!("consumes {codec}"), || client.read(&format!("{}.{codec}", client.name)));
    }
    check("produces with acks=0 and acks=1, every codec", || client.acks());
    check("headers, null keys, tombstones", || client.special());
    let name = |what| format!("{}.{what}", client.name);
    check("group of two with a rebalance", || client.group(&name("group"), "classic"));
    later("group.protocol=consumer", || client.group(&name("new"), "consumer"));
    later("admin: describe, configs, groups", || client.describe());
    later("admin: deletes a group", || client.delete_group());
    later("admin: deletes records", || client.trim());
    check("transactions: commit, abort, read_committed", || client.transactions());
    later("transactions: offsets of a group", || client.offsets());
    ways::all(&client.name);
}
