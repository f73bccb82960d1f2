//go:build sarama

package main

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

var saramaCodec = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

type saramaDriver struct{}

func newDriver() driver {
	if os.Getenv("INTEROP_DEBUG") != "" {
		sarama.Logger = log.New(os.Stderr, "", log.LstdFlags)
	}
	return saramaDriver{}
}

func (saramaDriver) cannot() map[string]string {
	return map[string]string{"group.protocol=consumer": "sarama has the classic protocol only"}
}

func (saramaDriver) emptyIsNull() bool { return false }

// saramaScram is what sarama wants of xdg-go/scram, which has RFC 5802.
type saramaScram struct {
	scram.HashGeneratorFcn
	*scram.ClientConversation
}

func (s *saramaScram) Begin(user, pass, authorize string) error {
	client, err := s.NewClient(user, pass, authorize)
	if err == nil {
		s.ClientConversation = client.NewConversation()
	}
	return err
}

type saramaToken string

func (t saramaToken) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: string(t)}, nil
}

func saramaConfig(w way) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.Retry.Max = 2
	config.Net.TLS.Config = w.tls()
	config.Net.TLS.Enable = config.Net.TLS.Config != nil
	config.Net.SASL.Enable = w.mechanism != ""
	config.Net.SASL.Mechanism = sarama.SASLMechanism(w.mechanism)
	config.Net.SASL.User, config.Net.SASL.Password = w.user, w.pass
	config.Net.SASL.TokenProvider = saramaToken(w.token)
	config.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
		if w.mechanism == "SCRAM-SHA-512" {
			return &saramaScram{HashGeneratorFcn: sha512.New}
		}
		return &saramaScram{HashGeneratorFcn: sha256.New}
	}
	return config
}

type saramaAdmin struct {
	sarama.ClusterAdmin
}

func (saramaDriver) admin(w way) (admin, error) {
	admin, err := sarama.NewClusterAdmin([]string{w.address}, saramaConfig(w))
	return saramaAdmin{admin}, err
}

func (a saramaAdmin) create(_ context.Context, partitions int, topics ...string) (err error) {
	for _, topic := range topics {
		err = errors.Join(err, a.CreateTopic(topic,
			&sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false))
	}
	return err
}

func (saramaAdmin) exists(err error) bool { return errors.Is(err, sarama.ErrTopicAlreadyExists) }

func (a saramaAdmin) partitions(_ context.Context, topic string) (int, error) {
	listed, err := a.ListTopics()
	return int(listed[topic].NumPartitions), err
}

func (a saramaAdmin) remove(_ context.Context, topic string) error { return a.DeleteTopic(topic) }

func (a saramaAdmin) configure(_ context.Context, topic, key, value string) error {
	return a.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false)
}

func (a saramaAdmin) config(_ context.Context, topic, key string) (string, error) {
	all, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{key}})
	if err != nil || len(all) != 1 {
		return "", fmt.Errorf("%d keys: %w", len(all), err)
	}
	return all[0].Value, nil
}

func (a saramaAdmin) groups(context.Context) (names []string, err error) {
	listed, err := a.ListConsumerGroups()
	for name := range listed {
		names = append(names, name)
	}
	return names, err
}

func (a saramaAdmin) group(_ context.Context, group string) (string, error) {
	about, err := a.DescribeConsumerGroups([]string{group})
	if err != nil || about[0].Err != sarama.ErrNoError {
		return "", fmt.Errorf("%v: %w", about, err)
	}
	return about[0].State, nil
}

func (a saramaAdmin) removeGroup(_ context.Context, group string) error {
	return a.DeleteConsumerGroup(group)
}
func (a saramaAdmin) close() { a.Close() }

type saramaProducer struct {
	sarama.SyncProducer
	acks int
}

// saramaPartitions keeps a partition that was said.
type saramaPartitions struct{}

func (saramaPartitions) RequiresConsistency() bool { return true }
func (saramaPartitions) Partition(m *sarama.ProducerMessage, _ int32) (int32, error) {
	return max(m.Partition, 0), nil
}

func (saramaDriver) producer(w way, how producing) (producer, error) {
	config := saramaConfig(w)
	config.Producer.Compression = saramaCodec[how.codec]
	config.Producer.RequiredAcks = sarama.RequiredAcks(how.acks)
	config.Producer.Return.Successes, config.Producer.Return.Errors = true, true
	config.Producer.Partitioner = func(string) sarama.Partitioner { return saramaPartitions{} }
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	if config.Producer.Idempotent = how.acks == -1; config.Producer.Idempotent {
		config.Net.MaxOpenRequests = 1
	}
	config.Producer.Transaction.ID = how.transaction
	producer, err := sarama.NewSyncProducer([]string{w.address}, config)
	return saramaProducer{producer, how.acks}, err
}

func (p saramaProducer) send(_ context.Context, records []record) (offsets []int64, err error) {
	all := []*sarama.ProducerMessage{}
	for _, one := range records {
		m := &sarama.ProducerMessage{Topic: one.topic, Partition: int32(one.partition)}
		if one.key != nil {
			m.Key = sarama.ByteEncoder(one.key)
		}
		if one.value != nil {
			m.Value = sarama.ByteEncoder(one.value)
		}
		for _, h := range one.headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
		}
		all = append(all, m)
	}
	err = p.SendMessages(all)
	for _, m := range all {
		offsets = append(offsets, m.Offset)
	}
	return offsets, err
}

func (p saramaProducer) begin() error { return p.BeginTxn() }
func (p saramaProducer) close()       { p.Close() }
func (p saramaProducer) end(_ context.Context, commit bool) error {
	if commit {
		return p.CommitTxn()
	}
	return p.AbortTxn()
}

func saramaRecord(m *sarama.ConsumerMessage) record {
	one := record{topic: m.Topic, partition: int(m.Partition), offset: m.Offset, key: m.Key, value: m.Value}
	for _, h := range m.Headers {
		one.headers = append(one.headers, header{string(h.Key), h.Value})
	}
	return one
}

// saramaMember is a member of a group, or who reads a partition alone.
type saramaMember struct {
	stop     func() error
	cancel   context.CancelFunc
	messages chan *sarama.ConsumerMessage
	count    atomic.Int32
	session  atomic.Pointer[sarama.ConsumerGroupSession]
	failed   chan error
	ended    sync.WaitGroup
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.session.Store(&session)
	for _, list := range session.Claims() {
		m.count.Add(int32(len(list)))
	}
	return nil
}

func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error {
	m.count.Store(0)
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case m.messages <- message:
				session.MarkMessage(message, "")
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (saramaDriver) consumer(w way, how consuming) (consumer, error) {
	config := saramaConfig(w)
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	config.Consumer.Group.Session.Timeout, config.Consumer.Group.Heartbeat.Interval = 10*time.Second, 300*time.Millisecond
	if how.committed {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	m := &saramaMember{messages: make(chan *sarama.ConsumerMessage), failed: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if how.group == "" {
		return m, m.alone(ctx, w, how, config)
	}
	group, err := sarama.NewConsumerGroup([]string{w.address}, how.group, config)
	if err != nil {
		return nil, err
	}
	m.stop = group.Close
	m.ended.Go(func() {
		for err := range group.Errors() {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	m.ended.Go(func() {
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{how.topic}, m); err != nil && ctx.Err() == nil {
				m.failed <- err
				return
			}
		}
	})
	return m, nil
}

func (m *saramaMember) alone(ctx context.Context, w way, how consuming, config *sarama.Config) error {
	all, err := sarama.NewConsumer([]string{w.address}, config)
	if err != nil {
		return err
	}
	one, err := all.ConsumePartition(how.topic, 0, sarama.OffsetOldest)
	if err != nil {
		return errors.Join(err, all.Close())
	}
	m.stop = func() error { return errors.Join(one.Close(), all.Close()) }
	m.ended.Go(func() {
		for {
			select {
			case message := <-one.Messages():
				select {
				case m.messages <- message:
				case <-ctx.Done():
					return
				}
			case err := <-one.Errors():
				m.failed <- err
				return
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

func (m *saramaMember) poll(limit time.Duration) (found []record, err error) {
	for timer := time.After(limit); len(found) < 100; {
		select {
		case message := <-m.messages:
			found = append(found, saramaRecord(message))
		case err := <-m.failed:
			return found, err
		case <-timer:
			return found, nil
		}
	}
	return found, nil
}

func (m *saramaMember) commit() error {
	if session := m.session.Load(); session != nil {
		(*session).Commit() // it tells no error: who lost its partitions reads them again
	}
	return nil
}

func (m *saramaMember) assigned() int { return int(m.count.Load()) }

func (m *saramaMember) close() error {
	m.cancel()
	err := m.stop()
	m.ended.Wait()
	return err
}

func (d saramaDriver) transform(ctx context.Context, w way, group, from, to, transaction string, count int,
	commit bool) error {
	consumer, err := d.consumer(w, consuming{topic: from, group: group, committed: true})
	if err != nil {
		return err
	}
	defer consumer.close()
	made, err := d.producer(w, producing{codec: "none", acks: -1, transaction: transaction})
	if err != nil {
		return err
	}
	defer made.close()
	producer := made.(saramaProducer)
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	for done := 0; done < count; {
		found, err := consumer.poll(200 * time.Millisecond)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		for i, one := range found {
			read := &sarama.ConsumerMessage{Topic: from, Partition: int32(one.partition), Offset: one.offset}
			if err := producer.AddMessageToTxn(read, group, nil); err != nil {
				return err
			}
			found[i].topic = to
		}
		if len(found) > 0 {
			if _, err := producer.send(ctx, found); err != nil {
				return err
			}
		}
		done += len(found)
	}
	return producer.end(ctx, commit)
}
