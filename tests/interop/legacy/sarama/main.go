// sarama told that the broker is of 0.9 or 0.10: produces with every codec of the time, reads from the beginning.
package main

import (
	"fmt"
	"os"

	"github.com/IBM/sarama"
)

const count = 200

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func value(i int) string {
	return fmt.Sprintf("value %d of a text that repeats, repeats, repeats", i)
}

func produce(address, topic string, config *sarama.Config) {
	producer, err := sarama.NewSyncProducer([]string{address}, config)
	check(err)
	var messages []*sarama.ProducerMessage
	for i := 0; i < count; i++ {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value(i))})
	}
	check(producer.SendMessages(messages))
	check(producer.Close())
}

func consume(address, topic string, config *sarama.Config, total int) {
	consumer, err := sarama.NewConsumer([]string{address}, config)
	check(err)
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	check(err)
	for i := 0; i < total; i++ {
		message := <-partition.Messages()
		if message.Offset != int64(i) || string(message.Value) != value(i%count) {
			check(fmt.Errorf("offset %d: %q", message.Offset, message.Value))
		}
	}
	check(partition.Close())
	check(consumer.Close())
}

func main() {
	versions := map[string]sarama.KafkaVersion{"0.9": sarama.V0_9_0_1, "0.10": sarama.V0_10_0_1}
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4}
	for name, version := range versions {
		config := sarama.NewConfig()
		config.Version = version
		config.ApiVersionsRequest = false
		config.Producer.Return.Successes = true
		config.Producer.RequiredAcks = sarama.WaitForAll
		config.Consumer.Fetch.Default = 20000
		topic := "sarama-" + name
		total := 0
		for _, codec := range codecs {
			if codec == sarama.CompressionLZ4 && !version.IsAtLeast(sarama.V0_10_0_0) {
				continue // sarama refuses it
			}
			config.Producer.Compression = codec
			produce(os.Args[1], topic, config)
			total += count
		}
		consume(os.Args[1], topic, config, total)
	}
}
