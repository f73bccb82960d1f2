//! Transactions of main's client.
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::{require, text, Client, Delivered, Outcome, FEW, POLL, WAIT};

/// What one transaction writes.
pub fn batch(what: &[&str]) -> Vec<String> {
    what.iter().flat_map(|word| (0..FEW).map(move |i| format!("{word} {i}"))).collect()
}

fn send(producer: &BaseProducer<Delivered>, topic: &str, values: &[String]) -> Outcome {
    for value in values {
        let record: BaseRecord<[u8], [u8]> = BaseRecord::to(topic).payload(value.as_bytes());
        producer.send(record).map_err(|(error, _)| text(error))?;
    }
    producer.flush(WAIT).map_err(text)?;
    let failed = producer.context().0.lock().unwrap().1.clone();
    failed.map_or(Ok(()), Err)
}

fn values<C: ConsumerContext>(consumer: &BaseConsumer<C>, count: usize) -> Outcome<Vec<String>> {
    let (mut found, deadline) = (Vec::new(), Instant::now() + WAIT);
    while found.len() < count {
        require(Instant::now() < deadline, || format!("only {} of {count} came", found.len()))?;
        if let Some(message) = consumer.poll(POLL) {
            let message = message.map_err(text)?;
            found.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into());
        }
    }
    Ok(found)
}

impl Client {
    pub fn send_values(&self, topic: &str, values: &[String]) -> Outcome {
        let records = values.iter().map(|value| BaseRecord::to(topic).payload(value.as_bytes()));
        self.send("none", "all", records).map(|_| ())
    }

    fn transactional(&self, id: &str) -> Outcome<BaseProducer<Delivered>> {
        let producer: BaseProducer<Delivered> = self
            .config(&[("transactional.id", id), ("linger.ms", "5")])
            .create_with_context(Delivered::default())
            .map_err(text)?;
        producer.init_transactions(WAIT).map_err(text)?;
        Ok(producer)
    }

    fn must_be(&self, topic: &str, isolation: &str, expected: &[&str]) -> Outcome {
        let found = values(&self.alone(topic, isolation)?, expected.len() * FEW)?;
        require(found == batch(expected), || format!("{isolation}: {found:?}"))
    }

    /// One that commits, one that aborts, one that commits; who reads committed sees two, who does not all three.
    pub fn transactions(&self) -> Outcome {
        let topic = format!("{}.txn", self.name);
        let producer = self.transactional(&topic)?;
        for what in ["kept", "dropped", "last"] {
            producer.begin_transaction().map_err(text)?;
            send(&producer, &topic, &batch(&[what]))?;
            if what == "dropped" {
                producer.abort_transaction(WAIT).map_err(text)?;
            } else {
                producer.commit_transaction(WAIT).map_err(text)?;
            }
        }
        self.must_be(&topic, "read_committed", &["kept", "last"])?;
        self.must_be(&topic, "read_uncommitted", &["kept", "dropped", "last"])
    }

    fn member(&self, topic: &str, group: &str) -> Outcome<BaseConsumer> {
        let consumer: BaseConsumer = self
            .config(&[
                ("group.id", group), ("enable.auto.commit", "false"), ("auto.offset.reset", "earliest"),
                ("isolation.level", "read_committed"),
            ])
            .create()
            .map_err(text)?;
        consumer.subscribe(&[topic]).map_err(text)?;
        Ok(consumer)
    }

    /// A group's offsets in a transaction go the way of the transaction. It reads what transactions() left.
    pub fn offsets(&self) -> Outcome {
        let [from, to, group] = ["txn", "out", "txn-group"].map(|what| format!("{}.{what}", self.name));
        for commit in [false, true] {
            // both begin with the first record
            let consumer = self.member(&from, &group)?;
            let producer = self.transactional(&group)?;
            let found = values(&consumer, 2 * FEW)?;
            producer.begin_transaction().map_err(text)?;
            send(&producer, &to, &found)?;
            let metadata = consumer.group_metadata().ok_or("no metadata of the group")?;
            let positions = consumer.position().map_err(text)?;
            producer.send_offsets_to_transaction(&positions, &metadata, WAIT).map_err(text)?;
            if commit {
                producer.commit_transaction(WAIT).map_err(text)?;
            } else {
                producer.abort_transaction(WAIT).map_err(text)?;
            }
        }
        self.must_be(&to, "read_committed", &["kept", "last"])?;
        let more = vec!["one more".to_string()];
        self.send_values(&from, &more)?;
        let found = values(&self.member(&from, &group)?, 1)?;
        require(found == more, || format!("after the committed offset: {found:?}"))
    }
}
