//go:build segmentio

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

var segmentioCodec = map[string]kafka.Compression{
	"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

type segmentio struct{}

func newDriver() driver { return segmentio{} }

func (segmentio) cannot() map[string]string {
	return map[string]string{
		"idempotent":              "kafka-go's Writer is not idempotent",
		"group.protocol=consumer": "kafka-go has the classic protocol only",
		"transactions":            "kafka-go's Writer has none",
		"SASL OAUTHBEARER":        "kafka-go has PLAIN and SCRAM only",
	}
}

func (segmentio) emptyIsNull() bool { return true }

func segmentioLogin(w way) sasl.Mechanism {
	switch w.mechanism {
	case "":
		return nil
	case "PLAIN":
		return plain.Mechanism{Username: w.user, Password: w.pass}
	}
	kind := scram.SHA256
	if w.mechanism == "SCRAM-SHA-512" {
		kind = scram.SHA512
	}
	mechanism, err := scram.Mechanism(kind, w.user, w.pass)
	if err != nil {
		panic(err)
	}
	return mechanism
}

func segmentioDialer(w way) *kafka.Dialer {
	return &kafka.Dialer{Timeout: 10 * time.Second, TLS: w.tls(), SASLMechanism: segmentioLogin(w)}
}

func segmentioTransport(w way) *kafka.Transport {
	return &kafka.Transport{TLS: w.tls(), SASL: segmentioLogin(w), MetadataTTL: 100 * time.Millisecond}
}

func segmentioLog() kafka.Logger {
	if os.Getenv("INTEROP_DEBUG") == "" {
		return nil
	}
	return log.New(os.Stderr, "", log.LstdFlags)
}

type segmentioAdmin struct {
	*kafka.Client
}

func (segmentio) admin(w way) (admin, error) {
	return segmentioAdmin{&kafka.Client{Addr: kafka.TCP(w.address), Transport: segmentioTransport(w), Timeout: wait}}, nil
}

func anyOf(err error, more map[string]error) error {
	for _, one := range more {
		err = errors.Join(err, one)
	}
	return err
}

func (a segmentioAdmin) create(ctx context.Context, partitions int, topics ...string) error {
	all := []kafka.TopicConfig{}
	for _, topic := range topics {
		all = append(all, kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1})
	}
	made, err := a.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: all})
	if err != nil {
		return err
	}
	return anyOf(nil, made.Errors)
}

func (segmentioAdmin) exists(err error) bool { return errors.Is(err, kafka.TopicAlreadyExists) }

// partitions asks on a connection of its own: the transport remembers metadata.
func (a segmentioAdmin) partitions(ctx context.Context, topic string) (int, error) {
	link, err := kafka.DialContext(ctx, "tcp", a.Addr.String())
	if err != nil {
		return 0, err
	}
	defer link.Close()
	all, err := link.ReadPartitions()
	count := 0
	for _, one := range all {
		if one.Topic == topic {
			count++
		}
	}
	return count, err
}

func (a segmentioAdmin) remove(ctx context.Context, topic string) error {
	dropped, err := a.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return anyOf(nil, dropped.Errors)
}

func (a segmentioAdmin) configure(ctx context.Context, topic, key, value string) error {
	altered, err := a.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic,
			ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: key, Value: value,
				ConfigOperation: kafka.ConfigOperationSet}}}}})
	if err != nil {
		return err
	}
	return altered.Resources[0].Error
}

func (a segmentioAdmin) config(ctx context.Context, topic, key string) (string, error) {
	all, err := a.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{key}}}})
	if err != nil {
		return "", err
	}
	if entries := all.Resources[0].ConfigEntries; len(entries) == 1 {
		return entries[0].ConfigValue, nil
	}
	return "", fmt.Errorf("%v", all.Resources)
}

func (a segmentioAdmin) groups(ctx context.Context) (names []string, err error) {
	listed, err := a.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	for _, one := range listed.Groups {
		names = append(names, one.GroupID)
	}
	return names, listed.Error
}

func (a segmentioAdmin) group(ctx context.Context, group string) (string, error) {
	about, err := a.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return "", err
	}
	return about.Groups[0].GroupState, about.Groups[0].Error
}

func (a segmentioAdmin) removeGroup(ctx context.Context, group string) error {
	gone, err := a.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return anyOf(nil, gone.Errors)
}

func (segmentioAdmin) close() {}

type segmentioProducer struct {
	*kafka.Writer
}

func (segmentio) producer(w way, how producing) (producer, error) {
	balancer := kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return max(m.WriterData.(int), 0) })
	return segmentioProducer{&kafka.Writer{Addr: kafka.TCP(w.address), Transport: segmentioTransport(w), Balancer: balancer,
		RequiredAcks: kafka.RequiredAcks(how.acks), Compression: segmentioCodec[how.codec], MaxAttempts: 3,
		BatchTimeout: 5 * time.Millisecond, ErrorLogger: segmentioLog()}}, nil
}

// send gives no offsets: only a callback of the Writer would tell them.
func (p segmentioProducer) send(ctx context.Context, records []record) ([]int64, error) {
	all := []kafka.Message{}
	for _, one := range records {
		m := kafka.Message{Topic: one.topic, Key: one.key, Value: one.value, WriterData: one.partition}
		for _, h := range one.headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
		}
		all = append(all, m)
	}
	return nil, p.WriteMessages(ctx, all...)
}

func (segmentioProducer) begin() error                    { panic("no transactions") }
func (segmentioProducer) end(context.Context, bool) error { panic("no transactions") }
func (p segmentioProducer) close()                        { p.Close() }

// segmentioConsumer reads its partitions with a Reader each; a Reader with a group would not tell which it has.
type segmentioConsumer struct {
	way
	how      consuming
	cancel   context.CancelFunc
	messages chan kafka.Message
	failed   chan error
	ended    sync.WaitGroup

	mutex      sync.Mutex
	generation *kafka.Generation
	read       map[int]int64 // partition to the offset after what poll gave
}

func (segmentio) consumer(w way, how consuming) (consumer, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &segmentioConsumer{way: w, how: how, cancel: cancel, messages: make(chan kafka.Message),
		failed: make(chan error, 10)}
	if how.group == "" {
		c.ended.Go(func() { c.readPartition(ctx, 0, kafka.FirstOffset) })
		return c, nil
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: how.group, Brokers: []string{w.address},
		Dialer: segmentioDialer(w), Topics: []string{how.topic}, HeartbeatInterval: 300 * time.Millisecond,
		SessionTimeout: 10 * time.Second, StartOffset: kafka.FirstOffset, JoinGroupBackoff: 200 * time.Millisecond,
		Logger: segmentioLog()})
	if err != nil {
		return nil, err
	}
	c.ended.Go(func() {
		for {
			generation, err := group.Next(ctx)
			if ctx.Err() != nil {
				group.Close()
				return
			}
			if err != nil {
				c.failed <- err
				return
			}
			c.begin(generation)
		}
	})
	return c, nil
}

func (c *segmentioConsumer) begin(generation *kafka.Generation) {
	c.mutex.Lock()
	c.generation, c.read = generation, map[int]int64{}
	c.mutex.Unlock()
	for _, one := range generation.Assignments[c.how.topic] {
		generation.Start(func(ctx context.Context) { c.readPartition(ctx, one.ID, one.Offset) })
	}
}

func (c *segmentioConsumer) readPartition(ctx context.Context, partition int, offset int64) {
	level := kafka.ReadUncommitted
	if c.how.committed {
		level = kafka.ReadCommitted
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.address}, Topic: c.how.topic, Partition: partition,
		Dialer: segmentioDialer(c.way), MaxWait: 200 * time.Millisecond, MinBytes: 1, MaxBytes: 10 << 20,
		IsolationLevel: level, ErrorLogger: segmentioLog()})
	defer reader.Close()
	if err := reader.SetOffset(offset); err != nil {
		c.failed <- err
	}
	for {
		message, err := reader.ReadMessage(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.failed <- err
			return
		}
		select {
		case c.messages <- message:
		case <-ctx.Done():
			return
		}
	}
}

func (c *segmentioConsumer) poll(limit time.Duration) (found []record, err error) {
	for timer := time.After(limit); len(found) < 100; {
		select {
		case m := <-c.messages:
			one := record{topic: m.Topic, partition: m.Partition, offset: m.Offset, key: m.Key, value: m.Value}
			for _, h := range m.Headers {
				one.headers = append(one.headers, header{h.Key, h.Value})
			}
			found = append(found, one)
			c.mutex.Lock()
			if c.read != nil {
				c.read[m.Partition] = m.Offset + 1
			}
			c.mutex.Unlock()
		case err := <-c.failed:
			return found, err
		case <-timer:
			return found, nil
		}
	}
	return found, nil
}

func (c *segmentioConsumer) commit() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.read) == 0 {
		return nil
	}
	err := c.generation.CommitOffsets(map[string]map[int]int64{c.how.topic: c.read})
	if err == nil || errors.Is(err, kafka.RebalanceInProgress) || errors.Is(err, kafka.IllegalGeneration) ||
		errors.Is(err, kafka.ErrGenerationEnded) {
		c.read = map[int]int64{}
		return nil // of a generation that is over: who has the partition next reads the records again
	}
	return err
}

func (c *segmentioConsumer) assigned() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.generation == nil {
		return 0
	}
	return len(c.generation.Assignments[c.how.topic])
}

func (c *segmentioConsumer) close() error {
	c.cancel()
	c.ended.Wait()
	return nil
}

func (segmentio) transform(context.Context, way, string, string, string, string, int, bool) error {
	panic("no transactions")
}
