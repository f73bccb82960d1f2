import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** kafka-clients 0.9 and 0.10, which ask for no versions: produces with every codec, reads as a group, commits. */
public class OldClient {
    static final int COUNT = 500;

    static String value(int i) {
        return "value " + i + " of a text that repeats, repeats, repeats";
    }

    static Properties common(String address) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", address);
        properties.put("client.id", "old");
        return properties;
    }

    static void produce(String address, String topic, String codec) throws Exception {
        Properties properties = common(address);
        properties.put("acks", "all");
        properties.put("compression.type", codec);
        properties.put("linger.ms", "20");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < COUNT; i++) {
                sent.add(producer.send(new ProducerRecord<String, String>(topic, 0, i % 7 == 0 ? null : "k" + i, i % 11 == 0 ? null : value(i))));
            }
            for (int i = 0; i < COUNT; i++) {
                check(sent.get(i).get().offset() % COUNT == i, "offset " + sent.get(i).get().offset() + " of " + i);
            }
        }
    }

    static void consume(String address, String topic, int rounds) {
        Properties properties = common(address);
        properties.put("group.id", "old-" + topic);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("max.partition.fetch.bytes", "20000");
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(Collections.singletonList(topic));
            long next = 0;
            long until = System.currentTimeMillis() + 60000;
            while (next < (long) rounds * COUNT) {
                check(System.currentTimeMillis() < until, "only " + next + " records in time");
                for (ConsumerRecord<String, String> record : consumer.poll(500)) {
                    int i = (int) (next % COUNT);
                    check(record.offset() == next++, "offset " + record.offset());
                    check(Objects.equals(record.value(), i % 11 == 0 ? null : value(i)), "value of " + i);
                    check(Objects.equals(record.key(), i % 7 == 0 ? null : "k" + i), "key of " + i);
                }
            }
            consumer.commitSync();
            TopicPartition partition = new TopicPartition(topic, 0);
            check(consumer.committed(partition).offset() == next, "committed");
        }
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException(what);
        }
    }

    public static void main(String[] words) throws Exception {
        String topic = words[1];
        String[] codecs = {"none", "gzip", "snappy", "lz4"};
        for (String codec : codecs) {
            produce(words[0], topic, codec);
        }
        consume(words[0], topic, codecs.length);
        System.out.println("ok");
    }
}
