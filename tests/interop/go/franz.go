//go:build franz

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

var franzCodec = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

type franz struct{}

func newDriver() driver                 { return franz{} }
func (franz) cannot() map[string]string { return nil }
func (franz) emptyIsNull() bool         { return false }

func franzOptions(w way, more ...kgo.Opt) []kgo.Opt {
	options := append(more, kgo.SeedBrokers(w.address), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if os.Getenv("INTEROP_DEBUG") != "" {
		options = append(options, kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelDebug, nil)))
	}
	if config := w.tls(); config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	if w.mechanism != "" {
		options = append(options, kgo.SASL(map[string]func() sasl.Mechanism{
			"PLAIN":         plain.Auth{User: w.user, Pass: w.pass}.AsMechanism,
			"SCRAM-SHA-256": scram.Auth{User: w.user, Pass: w.pass}.AsSha256Mechanism,
			"SCRAM-SHA-512": scram.Auth{User: w.user, Pass: w.pass}.AsSha512Mechanism,
			"OAUTHBEARER":   oauth.Auth{Token: w.token}.AsMechanism,
		}[w.mechanism]()))
	}
	return options
}

type franzAdmin struct {
	*kadm.Client
}

func (franz) admin(w way) (admin, error) {
	cl, err := kgo.NewClient(franzOptions(w)...)
	if err != nil {
		return nil, err
	}
	return franzAdmin{kadm.NewClient(cl)}, nil
}

func (a franzAdmin) create(ctx context.Context, partitions int, topics ...string) error {
	made, err := a.CreateTopics(ctx, int32(partitions), 1, nil, topics...)
	return errors.Join(err, made.Error())
}

func (franzAdmin) exists(err error) bool { return errors.Is(err, kerr.TopicAlreadyExists) }

func (a franzAdmin) partitions(ctx context.Context, topic string) (int, error) {
	listed, err := a.ListTopics(kadm.WithAuthorizedOps(ctx)) // past the client's cache of metadata
	return len(listed[topic].Partitions), err
}

func (a franzAdmin) remove(ctx context.Context, topic string) error {
	dropped, err := a.DeleteTopics(ctx, topic)
	return errors.Join(err, dropped.Error())
}

func (a franzAdmin) configure(ctx context.Context, topic, key, value string) error {
	altered, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	for _, one := range altered {
		err = errors.Join(err, one.Err)
	}
	return err
}

func (a franzAdmin) config(ctx context.Context, topic, key string) (string, error) {
	all, err := a.DescribeTopicConfigs(ctx, topic)
	for _, resource := range all {
		for _, config := range resource.Configs {
			if config.Key == key {
				return config.MaybeValue(), errors.Join(err, resource.Err)
			}
		}
	}
	return "", errors.Join(err, errors.New("no such key"))
}

func (a franzAdmin) groups(ctx context.Context) ([]string, error) {
	listed, err := a.ListGroups(ctx)
	return listed.Groups(), err
}

func (a franzAdmin) group(ctx context.Context, group string) (string, error) {
	about, err := a.DescribeGroups(ctx, group)
	return about[group].State, errors.Join(err, about[group].Err)
}

func (a franzAdmin) removeGroup(ctx context.Context, group string) error {
	gone, err := a.DeleteGroups(ctx, group)
	return errors.Join(err, gone[group].Err)
}

func (a franzAdmin) close() { a.Close() }

type franzProducer struct {
	*kgo.Client
}

func (franz) producer(w way, how producing) (producer, error) {
	options := franzOptions(w, kgo.ProducerBatchCompression(franzCodec[how.codec]),
		kgo.ProducerLinger(5*time.Millisecond), kgo.RecordPartitioner(franzPartitioner))
	switch how.acks {
	case 0:
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case 1:
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	if how.transaction != "" {
		options = append(options, kgo.TransactionalID(how.transaction))
	}
	cl, err := kgo.NewClient(options...)
	return franzProducer{cl}, err
}

var franzPartitioner = kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, _ int) int { return max(int(r.Partition), 0) }
})

func franzRecords(records []record) (all []*kgo.Record) {
	for _, one := range records {
		r := &kgo.Record{Topic: one.topic, Partition: int32(one.partition), Key: one.key, Value: one.value}
		for _, h := range one.headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.key, Value: h.value})
		}
		all = append(all, r)
	}
	return all
}

func (p franzProducer) send(ctx context.Context, records []record) (offsets []int64, err error) {
	results := p.ProduceSync(ctx, franzRecords(records)...)
	for _, result := range results {
		offsets = append(offsets, result.Record.Offset)
	}
	return offsets, results.FirstErr()
}

func (p franzProducer) begin() error { return p.BeginTransaction() }
func (p franzProducer) close()       { p.Close() }
func (p franzProducer) end(ctx context.Context, commit bool) error {
	return p.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

type franzConsumer struct {
	*kgo.Client
	count *atomic.Int32 // partitions of a member
	group bool
}

func (franz) consumer(w way, how consuming) (consumer, error) {
	count := &atomic.Int32{}
	changed := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			for _, list := range parts {
				count.Add(int32(by * len(list)))
			}
		}
	}
	options := franzOptions(w, kgo.ConsumeTopics(how.topic))
	if how.committed {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if how.group != "" {
		options = append(options, kgo.ConsumerGroup(how.group), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(300*time.Millisecond),
			kgo.OnPartitionsAssigned(changed(1)), kgo.OnPartitionsRevoked(changed(-1)), kgo.OnPartitionsLost(changed(-1)))
	}
	if how.protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	cl, err := kgo.NewClient(options...)
	return franzConsumer{cl, count, how.group != ""}, err
}

func franzFound(fetches kgo.Fetches) (found []record, err error) {
	for _, r := range fetches.Records() {
		one := record{topic: r.Topic, partition: int(r.Partition), offset: r.Offset, key: r.Key, value: r.Value}
		for _, h := range r.Headers {
			one.headers = append(one.headers, header{h.Key, h.Value})
		}
		found = append(found, one)
	}
	for _, one := range fetches.Errors() {
		if !errors.Is(one.Err, context.DeadlineExceeded) {
			err = errors.Join(err, one.Err)
		}
	}
	return found, err
}

func (c franzConsumer) poll(limit time.Duration) ([]record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return franzFound(c.PollFetches(ctx))
}

func (c franzConsumer) commit() error {
	defer c.AllowRebalance()
	err := c.CommitUncommittedOffsets(context.Background())
	if errors.Is(err, kerr.RebalanceInProgress) {
		return nil // the next poll takes part in it
	}
	return err
}

func (c franzConsumer) assigned() int { return int(c.count.Load()) }

func (c franzConsumer) close() error {
	if c.group {
		c.CloseAllowingRebalance()
	} else {
		c.Close()
	}
	return nil
}

func (franz) transform(ctx context.Context, w way, group, from, to, transaction string, count int, commit bool) error {
	session, err := kgo.NewGroupTransactSession(franzOptions(w, kgo.ConsumerGroup(group), kgo.ConsumeTopics(from),
		kgo.TransactionalID(transaction), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return err
	}
	defer session.Close()
	if err := session.Begin(); err != nil {
		return err
	}
	for done := 0; done < count; {
		found, err := franzFound(session.PollFetches(ctx))
		if err != nil {
			return err
		}
		for i := range found {
			found[i].topic = to
		}
		if err := session.ProduceSync(ctx, franzRecords(found)...).FirstErr(); err != nil {
			return err
		}
		done += len(found)
	}
	committed, err := session.End(ctx, kgo.TransactionEndTry(commit))
	if err == nil && committed != commit {
		err = fmt.Errorf("committed %v", committed)
	}
	return err
}
