import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;

/** Transactions of Interop's client. */
class Transactions {
  static final int FEW = Interop.FEW;
  final Interop client;
  final String topic, out, group;

  Transactions(Interop client) {
    this.client = client;
    topic = client.name + ".txn";
    out = client.name + ".out";
    group = client.name + ".txn-group";
  }

  /** What one transaction writes. */
  static List<String> batch(String... what) {
    List<String> values = new ArrayList<>();
    for (String word : what) {
      for (int i = 0; i < FEW; i++) values.add(word + " " + i);
    }
    return values;
  }

  static void send(Producer<byte[], byte[]> producer, String topic, List<String> values) throws Exception {
    List<java.util.concurrent.Future<RecordMetadata>> waits = new ArrayList<>();
    for (String value : values) waits.add(producer.send(new ProducerRecord<>(topic, Interop.bytes(value))));
    for (var wait : waits) wait.get();
  }

  /** One that commits, one that aborts, one that commits; who reads committed sees two, who does not all three. */
  void all() throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = client.producer(Map.of("transactional.id", topic))) {
      producer.initTransactions();
      for (String what : List.of("kept", "dropped", "last")) {
        producer.beginTransaction();
        send(producer, topic, batch(what));
        if (what.equals("dropped")) producer.abortTransaction();
        else producer.commitTransaction();
      }
    }
    requireValues(read(topic, 2 * FEW, "read_committed"), batch("kept", "last"));
    requireValues(read(topic, 3 * FEW, "read_uncommitted"), batch("kept", "dropped", "last"));
  }

  static void requireValues(List<String> found, List<String> expected) {
    Interop.require(found.equals(expected), found.size() + " of " + expected.size() + ": " + found);
  }

  List<String> read(String from, int count, String isolation) {
    try (KafkaConsumer<byte[], byte[]> consumer = client.consumer(Map.of("isolation.level", isolation))) {
      List<TopicPartition> partition = List.of(new TopicPartition(from, 0));
      consumer.assign(partition);
      consumer.seekToBeginning(partition);
      return values(consumer, count);
    }
  }

  static List<String> values(KafkaConsumer<byte[], byte[]> consumer, int count) {
    List<String> found = new ArrayList<>();
    long deadline = System.currentTimeMillis() + Interop.WAIT_MS;
    while (found.size() < count) {
      Interop.require(System.currentTimeMillis() < deadline, "only " + found.size() + " of " + count + " came");
      consumer.poll(Duration.ofMillis(200))
          .forEach(record -> found.add(new String(record.value(), StandardCharsets.UTF_8)));
    }
    return found;
  }

  KafkaConsumer<byte[], byte[]> member() {
    KafkaConsumer<byte[], byte[]> consumer =
        client.consumer(Map.of("isolation.level", "read_committed", "group.id", group));
    consumer.subscribe(List.of(topic));
    return consumer;
  }

  /** A group's offsets in a transaction go the way of the transaction. It reads what all() left. */
  void offsets() throws Exception {
    for (boolean commit : new boolean[] {false, true}) { // both begin with the first record
      try (KafkaConsumer<byte[], byte[]> consumer = member();
          KafkaProducer<byte[], byte[]> producer = client.producer(Map.of("transactional.id", group))) {
        producer.initTransactions();
        List<String> found = values(consumer, 2 * FEW);
        producer.beginTransaction();
        send(producer, out, found);
        TopicPartition partition = new TopicPartition(topic, 0);
        producer.sendOffsetsToTransaction(
            Map.of(partition, new OffsetAndMetadata(consumer.position(partition))), consumer.groupMetadata());
        if (commit) producer.commitTransaction();
        else producer.abortTransaction();
      }
    }
    requireValues(read(out, 2 * FEW, "read_committed"), batch("kept", "last"));
    try (KafkaProducer<byte[], byte[]> producer = client.producer("none")) {
      send(producer, topic, List.of("one more"));
    }
    try (KafkaConsumer<byte[], byte[]> consumer = member()) {
      requireValues(values(consumer, 1), List.of("one more"));
    }
  }
}
