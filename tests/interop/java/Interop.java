import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** Apache Kafka's own client against the broker: the checks of ../README.md.
 *    Interop write ADDRESS NAME     all checks on topics NAME.*
 *    Interop read ADDRESS TOPIC…    reads what other clients wrote */
public class Interop {
  static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
  static final int RECORDS = 300; // of a codec
  static final int ROUND = 400; // of one round of the group
  static final String[] GROUPS = {".group", ".new", ".change"}; // topics that groups read
  static final int FEW = 20; // of a codec with acks 0 or 1
  static final long WAIT_MS = 30000;
  static final byte[][][] SPECIAL = { // key, value
    {null, bytes("no key")},
    {bytes("tombstone"), null},
    {null, bytes("")},
    {bytes(""), bytes("empty key")},
    {null, null},
  };
  static final List<Header> HEADERS = List.of(
      new RecordHeader("n", bytes("3")), new RecordHeader("bin", new byte[] {0, -1, -128}),
      new RecordHeader("dup", bytes("1")), new RecordHeader("dup", bytes("2")),
      new RecordHeader("empty", bytes("")), new RecordHeader("null", (byte[]) null));

  interface Work {
    void run() throws Exception;
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] valueOf(int i) {
    byte[] out = new byte[i == 7 || i == 8 ? 300000 : i * 37 % 1400 + 1];
    byte[] text = bytes("sluice " + i + " ");
    int x = (int) (i * 2654435761L);
    for (int at = 0; at < out.length; at++) {
      out[at] = i % 2 == 0 ? text[at % text.length] : (byte) (x >>> 24);
      x = x * 1664525 + 1013904223;
    }
    return out;
  }

  static void require(boolean isTrue, String what) {
    if (!isTrue) throw new AssertionError(what);
  }

  /** One that is not in CI's share. */
  static void later(String name, Work work) {
    if ("whole".equals(System.getenv("INTEROP_SHARE"))) {
      check(name, work);
    } else {
      System.out.println("left " + name);
    }
  }

  static void check(String name, Work work) {
    try {
      work.run();
      System.out.println("ok " + name);
    } catch (Throwable error) { // every failure is a line, the others go on
      error.printStackTrace();
      System.out.println("fail " + name + ": " + error.toString().replace('\n', ' '));
    }
  }

  final String name;
  final Map<String, Object> way; // settings of how it comes in

  Interop(String address, String name) {
    this(Map.of("bootstrap.servers", address), name);
  }

  Interop(Map<String, Object> way, String name) {
    this.way = way;
    this.name = name;
  }

  Map<String, Object> with(Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(way);
    settings.putAll(more);
    return settings;
  }

  KafkaProducer<byte[], byte[]> producer(String codec) {
    return producer(codec, "all");
  }

  KafkaProducer<byte[], byte[]> producer(String codec, String acks) {
    return producer(Map.of("acks", acks, "enable.idempotence", acks.equals("all"),
        "compression.type", codec, "linger.ms", 5));
  }

  KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
    Map<String, Object> settings = new HashMap<>(
        Map.of("delivery.timeout.ms", 25000, "request.timeout.ms", 10000, "max.block.ms", 20000));
    settings.putAll(with(more));
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
    Map<String, Object> settings = with(more);
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", false);
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  void admin() throws Exception {
    try (Admin admin = Admin.create(way)) {
      List<NewTopic> topics = new ArrayList<>();
      for (String codec : CODECS) topics.add(new NewTopic(name + "." + codec, 1, (short) 1));
      for (String kind : List.of(".special", ".acks", ".txn", ".out", ".secure")) {
        topics.add(new NewTopic(name + kind, 1, (short) 1));
      }
      for (String kind : GROUPS) topics.add(new NewTopic(name + kind, 4, (short) 1));
      topics.add(new NewTopic(name + ".gone", 2, (short) 1)
          .configs(Map.of("retention.ms", "86400000")));
      admin.createTopics(topics).all().get();
      try {
        admin.createTopics(topics.subList(0, 1)).all().get();
        require(false, "a topic that exists was created");
      } catch (ExecutionException error) {
        require(error.getCause() instanceof TopicExistsException, error.toString());
      }
      String gone = name + ".gone";
      require(admin.listTopics().names().get().contains(gone), "a new topic is not listed");
      TopicDescription about = admin.describeTopics(List.of(gone)).allTopicNames().get().get(gone);
      require(about.partitions().size() == 2, "partitions of " + about);
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, gone);
      Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      require(config.get("retention.ms").value().equals("86400000"), "retention.ms of " + config);
      require(config.get("cleanup.policy").value().equals("delete"), "cleanup.policy of " + config);
      admin.deleteTopics(List.of(gone)).all().get();
      require(!admin.listTopics().names().get().contains(gone), "a deleted topic is listed");
    }
  }

  /** After the group. */
  void describe() throws Exception {
    try (Admin admin = Admin.create(way)) {
      String group = name + ".group";
      ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, name + ".special");
      admin.incrementalAlterConfigs(Map.of(topic, List.of(new AlterConfigOp(
          new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET)))).all().get();
      Config config = admin.describeConfigs(List.of(topic)).all().get().get(topic);
      require(config.get("retention.ms").value().equals("3600000"), "retention.ms of " + config);
      require(groups(admin).contains(group), "groups " + groups(admin));
      ConsumerGroupDescription about = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
      require(about.groupState() == GroupState.EMPTY, "the group is " + about);
      TopicPartition first = new TopicPartition(group, 0);
      long offset = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first).offset();
      require(offset == ROUND, "its offset in partition 0 is " + offset); // four rounds, a quarter of each
    }
  }

  static Set<String> groups(Admin admin) throws Exception {
    Set<String> names = new HashSet<>();
    for (GroupListing one : admin.listGroups().all().get()) names.add(one.groupId());
    return names;
  }

  void deleteGroup() throws Exception {
    try (Admin admin = Admin.create(way)) {
      String group = name + ".group";
      admin.deleteConsumerGroups(List.of(group)).all().get();
      require(!groups(admin).contains(group), "it is still listed");
    }
  }

  void trim() throws Exception {
    try (Admin admin = Admin.create(way)) {
      TopicPartition partition = new TopicPartition(name + ".special", 0);
      long mark = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(2)))
          .lowWatermarks().get(partition).get().lowWatermark();
      require(mark == 2, "low watermark " + mark);
    }
  }

  void produce(String codec) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer(codec)) {
      List<Future<RecordMetadata>> waits = new ArrayList<>();
      for (int i = 0; i < RECORDS; i++) {
        waits.add(producer.send(new ProducerRecord<>(name + "." + codec, null, bytes("k" + i),
            valueOf(i), List.of(new RecordHeader("n", bytes("" + i))))));
      }
      for (int i = 0; i < RECORDS; i++) {
        long offset = waits.get(i).get().offset();
        require(offset == i, "record " + i + " got offset " + offset);
      }
    }
  }

  /** Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read. */
  void acks() throws Exception {
    Set<String> sent = new HashSet<>();
    for (String acks : List.of("0", "1")) {
      for (String codec : CODECS) {
        List<Future<RecordMetadata>> waits = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(codec, acks)) {
          for (int i = 0; i < FEW; i++) {
            String value = "acks " + acks + ", " + codec + ", " + i;
            waits.add(producer.send(new ProducerRecord<>(name + ".acks", bytes(value))));
            sent.add(value);
          }
        }
        for (Future<RecordMetadata> wait : waits) {
          require(wait.get().hasOffset() == acks.equals("1"), "acks=" + acks + ": " + wait.get());
        }
      }
    }
    Set<String> found = new HashSet<>();
    first(name + ".acks", sent.size())
        .forEach(record -> found.add(new String(record.value(), StandardCharsets.UTF_8)));
    require(found.equals(sent), found.size() + " of " + sent.size() + " came");
  }

  /** The first count records of partition 0, from the beginning, without a group. */
  List<ConsumerRecord<byte[], byte[]>> first(String topic, int count) {
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
      TopicPartition partition = new TopicPartition(topic, 0);
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long deadline = System.currentTimeMillis() + WAIT_MS;
      while (found.size() < count) {
        require(System.currentTimeMillis() < deadline, "only " + found.size() + " records came");
        consumer.poll(Duration.ofMillis(500)).forEach(found::add);
      }
      require(consumer.endOffsets(List.of(partition)).get(partition) == count, "end offset");
    }
    return found;
  }

  void read(String topic) {
    List<ConsumerRecord<byte[], byte[]>> found = first(topic, RECORDS);
    for (int i = 0; i < RECORDS; i++) {
      ConsumerRecord<byte[], byte[]> record = found.get(i);
      require(record.offset() == i, "offset " + record.offset() + ", not " + i);
      require(Arrays.equals(record.key(), bytes("k" + i)), "key of " + i);
      require(Arrays.equals(record.value(), valueOf(i)), "value of " + i + " differs");
      List<Header> expected = List.of(new RecordHeader("n", bytes("" + i)));
      require(Arrays.asList(record.headers().toArray()).equals(expected), "headers of " + i);
    }
  }

  void special() throws Exception {
    String topic = name + ".special";
    try (KafkaProducer<byte[], byte[]> producer = producer("none")) {
      for (byte[][] pair : SPECIAL) {
        producer.send(new ProducerRecord<>(topic, null, pair[0], pair[1], HEADERS)).get();
      }
    }
    List<ConsumerRecord<byte[], byte[]>> found = first(topic, SPECIAL.length);
    for (int i = 0; i < SPECIAL.length; i++) {
      ConsumerRecord<byte[], byte[]> record = found.get(i);
      require(Arrays.equals(record.key(), SPECIAL[i][0]), "key of special record " + i);
      require(Arrays.equals(record.value(), SPECIAL[i][1]), "value of special record " + i);
      require(Arrays.asList(record.headers().toArray()).equals(HEADERS), "headers " + record);
    }
  }

  void sendRound(String topic, int first) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer("none")) {
      List<Future<RecordMetadata>> waits = new ArrayList<>();
      for (int i = first; i < first + ROUND; i++) {
        waits.add(producer.send(new ProducerRecord<>(topic, i % 4, null, bytes("" + i))));
      }
      for (Future<RecordMetadata> wait : waits) wait.get();
    }
  }

  /** A member of the group: a thread that reads, commits what it read, and leaves when told. */
  class Member {
    final AtomicBoolean stop = new AtomicBoolean();
    final String topic, protocol;
    final Set<Integer> seen;
    final Thread thread = new Thread(this::run);
    volatile int partitions, count;
    volatile Throwable error;

    Member(String topic, String protocol, Set<Integer> seen) {
      this.topic = topic;
      this.protocol = protocol;
      this.seen = seen;
      thread.start();
    }

    void run() {
      // with group.protocol=consumer the broker says how often heartbeats come
      Map<String, Object> settings = protocol.equals("consumer")
          ? Map.of("group.id", topic, "group.protocol", protocol)
          : Map.of("group.id", topic, "session.timeout.ms", 10000, "heartbeat.interval.ms", 300);
      try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
        consumer.subscribe(List.of(topic));
        while (!stop.get()) {
          ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
          for (ConsumerRecord<byte[], byte[]> record : records) {
            seen.add(Integer.parseInt(new String(record.value(), StandardCharsets.UTF_8)));
            count++;
          }
          partitions = consumer.assignment().size();
          try {
            consumer.commitSync();
          } catch (RebalanceInProgressException retried) {
            // the next poll takes part in it; what was read stays uncommitted until then
          } catch (CommitFailedException late) {
            // the same, noticed later: another member reads these records again
          }
        }
      } catch (Throwable caught) {
        error = caught;
      }
    }

    void leave() throws InterruptedException {
      stop.set(true);
      thread.join();
      require(error == null, "a member failed: " + error);
    }
  }

  void until(BooleanSupplier isTrue, String what, Set<Integer> seen, Member... members)
      throws InterruptedException {
    long deadline = System.currentTimeMillis() + WAIT_MS;
    while (!isTrue.getAsBoolean()) {
      for (Member member : members) {
        require(member.error == null, "a member failed: " + member.error);
      }
      require(System.currentTimeMillis() < deadline, "waited for " + what + ", seen " + seen.size());
      Thread.sleep(20);
    }
  }

  void group(String topic, String protocol) throws Exception {
    Set<Integer> seen = ConcurrentHashMap.newKeySet();
    List<Member> members = new ArrayList<>();
    try {
      sendRound(topic, 0);
      Member first = new Member(topic, protocol, seen);
      members.add(first);
      until(() -> seen.size() == ROUND, "the first round", seen, first);
      Member second = new Member(topic, protocol, seen);
      members.add(second);
      until(() -> first.partitions == 2 && second.partitions == 2, "two partitions each", seen,
          first, second);
      sendRound(topic, ROUND);
      until(() -> seen.size() == 2 * ROUND, "the second round", seen, first, second);
      require(second.count > 0, "the second member read nothing");
      first.leave();
      until(() -> second.partitions == 4, "all partitions at the one that stayed", seen, second);
      sendRound(topic, 2 * ROUND);
      until(() -> seen.size() == 3 * ROUND, "the third round", seen, second);
      second.leave();
      seen.clear();
      sendRound(topic, 3 * ROUND);
      Member third = new Member(topic, protocol, seen);
      members.add(third);
      until(() -> seen.size() >= ROUND, "the round after the commit", seen, third);
      require(Collections.min(seen) == 3 * ROUND, "committed offsets went back: " + seen.size());
      third.leave();
    } finally {
      for (Member member : members) member.stop.set(true);
    }
  }

  /** KafkaShareConsumer (KIP-932): each record is accepted once, those given back come again. */
  void share() throws Exception {
    String topic = name + ".share";
    Map<String, Object> settings = with(Map.of("group.id", topic,
        "share.acknowledgement.mode", "explicit"));
    try (Admin admin = Admin.create(way);
        KafkaShareConsumer<byte[], byte[]> one = new KafkaShareConsumer<>(
            settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        KafkaShareConsumer<byte[], byte[]> two = new KafkaShareConsumer<>(
            settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      admin.createTopics(List.of(new NewTopic(topic, 4, (short) 1))).all().get();
      admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, topic),
          List.of(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"),
              AlterConfigOp.OpType.SET)))).all().get();
      sendRound(topic, 0);
      Map<String, Integer> accepted = new HashMap<>();
      Set<String> released = new HashSet<>();
      int again = 0;
      one.subscribe(List.of(topic));
      two.subscribe(List.of(topic));
      long deadline = System.currentTimeMillis() + WAIT_MS;
      while (accepted.size() < ROUND) {
        for (KafkaShareConsumer<byte[], byte[]> member : List.of(one, two)) {
          for (ConsumerRecord<byte[], byte[]> record : member.poll(Duration.ofMillis(100))) {
            String id = record.partition() + "/" + record.offset();
            int value = Integer.parseInt(new String(record.value(), StandardCharsets.UTF_8));
            if (value % 3 == 0 && released.add(id)) {
              member.acknowledge(record, AcknowledgeType.RELEASE);
            } else {
              accepted.merge(id, 1, Integer::sum);
              again += released.contains(id) && record.deliveryCount().get() > 1 ? 1 : 0;
              member.acknowledge(record, AcknowledgeType.ACCEPT);
            }
          }
          member.commitSync().forEach((at, error) ->
              require(error.isEmpty(), "commit of " + at + ": " + error));
        }
        require(System.currentTimeMillis() < deadline, accepted.size() + " of " + ROUND);
      }
      require(Collections.max(accepted.values()) == 1, "a record was accepted twice");
      require(again == released.size() && again > 0, "given back " + released.size() + ", again " + again);
      ShareGroupDescription about = admin.describeShareGroups(List.of(topic)).all().get().get(topic);
      require(about.members().size() == 2 && about.groupState() == GroupState.STABLE, "" + about);
      long left = 0;
      for (var at : admin.listShareGroupOffsets(Map.of(topic, new ListShareGroupOffsetsSpec()))
               .partitionsToOffsetInfo(topic).get().values()) {
        left += at.lag().orElse(1L);
      }
      require(left == 0, "the lag is " + left);
    }
  }

  void typeIs(String group, GroupType type, int members) throws Exception {
    try (Admin admin = Admin.create(way)) {
      long deadline = System.currentTimeMillis() + WAIT_MS;
      for (;;) {
        ConsumerGroupDescription about =
            admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        if (about.type() == type && about.members().size() == members
            && about.groupState() == GroupState.STABLE) {
          return;
        }
        require(System.currentTimeMillis() < deadline, "the group is " + about);
        Thread.sleep(50);
      }
    }
  }

  /** From the classic protocol to the new one and back, one member after the other. */
  void change() throws Exception {
    String topic = name + ".change";
    Set<Integer> seen = ConcurrentHashMap.newKeySet();
    List<Member> members = new ArrayList<>();
    try {
      sendRound(topic, 0);
      Member old = new Member(topic, "classic", seen);
      members.add(old);
      until(() -> seen.size() == ROUND, "the first round", seen, old);
      typeIs(topic, GroupType.CLASSIC, 1);
      Member fresh = new Member(topic, "consumer", seen);
      members.add(fresh);
      until(() -> old.partitions == 2 && fresh.partitions == 2, "two each", seen, old, fresh);
      typeIs(topic, GroupType.CONSUMER, 2);
      sendRound(topic, ROUND);
      until(() -> seen.size() == 2 * ROUND, "the second round", seen, old, fresh);
      old.leave();
      until(() -> fresh.partitions == 4, "all at the new one", seen, fresh);
      Member again = new Member(topic, "classic", seen);
      members.add(again);
      until(() -> again.partitions == 2 && fresh.partitions == 2, "two again", seen, again, fresh);
      fresh.leave();
      until(() -> again.partitions == 4, "all at the classic one", seen, again);
      typeIs(topic, GroupType.CLASSIC, 1);
      sendRound(topic, 2 * ROUND);
      until(() -> seen.size() == 3 * ROUND, "the third round", seen, again);
      again.leave();
    } finally {
      for (Member member : members) member.stop.set(true);
    }
  }

  public static void main(String[] args) {
    if (args[0].equals("read")) {
      Interop client = new Interop(args[1], "");
      for (int at = 2; at < args.length; at++) {
        String topic = args[at];
        check("reads " + topic, () -> client.read(topic));
      }
      System.exit(0);
    }
    Interop client = new Interop(args[1], args[2]);
    check("admin: create, describe, list, delete topics", client::admin);
    for (String codec : CODECS) {
      check("produces " + codec + ", acks=all, idempotent", () -> client.produce(codec));
      check("consumes " + codec, () -> client.read(client.name + "." + codec));
    }
    check("produces with acks=0 and acks=1, every codec", client::acks);
    check("headers, null keys, tombstones", client::special);
    check("group of two with a rebalance", () -> client.group(client.name + ".group", "classic"));
    check("group.protocol=consumer", () -> client.group(client.name + ".new", "consumer"));
    check("a group that changes its protocol and back", client::change);
    check("a share group of two", client::share);
    later("admin: describe, configs, groups", client::describe);
    later("admin: deletes a group", client::deleteGroup);
    later("admin: deletes records", client::trim);
    check("transactions: commit, abort, read_committed", new Transactions(client)::all);
    later("transactions: offsets of a group", new Transactions(client)::offsets);
    new Ways(client.name).all();
    System.exit(0);
  }
}
