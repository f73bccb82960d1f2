// WordCount ADDRESS WORD=COUNT,… PROTOCOL FOLDER GROUP LINES COUNTS: Kafka Streams with exactly-once v2: words of the
// topic LINES are counted into COUNTS, until each of the words was counted so often. Restarted, it must not count twice.
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;

public class WordCount {
    public static void main(String[] arguments) throws Exception {
        Map<String, Long> missing = new ConcurrentHashMap<>();
        for (String word : arguments[1].split(",")) {
            missing.put(word.split("=")[0], Long.parseLong(word.split("=")[1]));
        }
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[4]);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, arguments[2]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

        CountDownLatch done = new CountDownLatch(1);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[5], Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
            .count()
            .toStream()
            .peek((word, count) -> {
                missing.computeIfPresent(word, (key, wanted) -> count >= wanted ? null : wanted);
                if (missing.isEmpty()) {
                    done.countDown();
                }
            })
            .to(arguments[6], Produced.with(Serdes.String(), Serdes.Long()));
        boolean ended;
        try (KafkaStreams streams = new KafkaStreams(builder.build(), properties)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return null;
            });
            streams.start();
            ended = done.await(60, TimeUnit.SECONDS);
        } // closed: what is under way is committed
        System.exit(ended ? 0 : 3);
    }
}
