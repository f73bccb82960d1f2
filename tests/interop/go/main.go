// franz-go against the broker: the checks of ../README.md.
//
//	interop write ADDRESS NAME     all checks on topics NAME.*
//	interop read ADDRESS TOPIC…    reads what other clients wrote
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	records = 300 // of a codec
	round   = 400 // of one round of the group
	few     = 20  // of a codec with acks 0 or 1
	wait    = 30 * time.Second
)

var (
	codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}
	codec  = map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	special = [][2][]byte{ // key, value
		{nil, []byte("no key")},
		{[]byte("tombstone"), nil},
		{nil, {}},
		{{}, []byte("empty key")},
		{nil, nil},
	}
	headers = []kgo.RecordHeader{
		{Key: "n", Value: []byte("3")},
		{Key: "bin", Value: []byte{0, 0xff, 0x80}},
		{Key: "dup", Value: []byte("1")},
		{Key: "dup", Value: []byte("2")},
		{Key: "empty", Value: []byte{}},
		{Key: "null", Value: nil},
	}
)

func valueOf(i int) []byte {
	size := i*37%1400 + 1
	if i == 7 || i == 8 {
		size = 300000
	}
	text := "sluice " + strconv.Itoa(i) + " "
	out, x := make([]byte, size), uint32(i)*2654435761
	for at := range out {
		if out[at] = byte(x >> 24); i%2 == 0 {
			out[at] = text[at%len(text)]
		}
		x = x*1664525 + 1013904223
	}
	return out
}

// same tells null from empty, which bytes.Equal does not.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func sameHeaders(a, b []kgo.RecordHeader) bool {
	for i := range a {
		if len(a) != len(b) || a[i].Key != b[i].Key || !same(a[i].Value, b[i].Value) {
			return false
		}
	}
	return len(a) == len(b)
}

func check(name string, work func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	if err := work(ctx); err != nil { // every failure is a line, the others go on
		fmt.Printf("fail %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println("ok", name)
}

type client struct{ address, name string }

func (c client) open(options ...kgo.Opt) (*kgo.Client, error) {
	options = append(options, kgo.SeedBrokers(c.address),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if os.Getenv("INTEROP_DEBUG") != "" {
		options = append(options, kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelDebug, nil)))
	}
	return kgo.NewClient(options...)
}

func (c client) admin(ctx context.Context) error {
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	admin, gone := kadm.NewClient(cl), c.name+".gone"
	fresh := kadm.WithAuthorizedOps(ctx) // past the client's cache of metadata
	topics := []string{c.name + ".special", c.name + ".acks"}
	for _, codec := range codecs {
		topics = append(topics, c.name+"."+codec)
	}
	made, err := admin.CreateTopics(ctx, 1, 1, nil, topics...)
	if err = errors.Join(err, made.Error()); err != nil {
		return err
	}
	made, err = admin.CreateTopics(ctx, 4, 1, nil, c.name+".group", gone)
	if err = errors.Join(err, made.Error()); err != nil {
		return err
	}
	made, _ = admin.CreateTopics(ctx, 1, 1, nil, topics[0])
	if !errors.Is(made.Error(), kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating a topic that exists: %v", made.Error())
	}
	if listed, err := admin.ListTopics(fresh); err != nil || len(listed[gone].Partitions) != 4 {
		return fmt.Errorf("a new topic is not listed: %v %v", listed[gone], err)
	}
	dropped, err := admin.DeleteTopics(ctx, gone)
	if err = errors.Join(err, dropped.Error()); err != nil {
		return err
	}
	if listed, err := admin.ListTopics(fresh); err != nil || listed.Has(gone) {
		return fmt.Errorf("a deleted topic is listed: %v", err)
	}
	return nil
}

func (c client) produce(ctx context.Context, name string) error {
	cl, err := c.open(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(codec[name]),
		kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	var all []*kgo.Record
	for i := range records {
		all = append(all, &kgo.Record{
			Topic: c.name + "." + name, Key: []byte("k" + strconv.Itoa(i)), Value: valueOf(i),
			Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(strconv.Itoa(i))}},
		})
	}
	for i, result := range cl.ProduceSync(ctx, all...) {
		if result.Err != nil || result.Record.Offset != int64(i) {
			return fmt.Errorf("record %d got offset %d: %v", i, result.Record.Offset, result.Err)
		}
	}
	return nil
}

// acks is not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read.
func (c client) acks(ctx context.Context) error {
	topic, sent := c.name+".acks", map[string]bool{}
	for number, acks := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck()} {
		for _, name := range codecs {
			cl, err := c.open(kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(),
				kgo.ProducerBatchCompression(codec[name]))
			if err != nil {
				return err
			}
			var all []*kgo.Record
			for i := range few {
				value := fmt.Sprintf("acks %d, %s, %d", number, name, i)
				all = append(all, &kgo.Record{Topic: topic, Value: []byte(value)})
				sent[value] = true
			}
			err = cl.ProduceSync(ctx, all...).FirstErr()
			cl.Close()
			if err != nil {
				return fmt.Errorf("acks=%d, %s: %w", number, name, err)
			}
		}
	}
	found, err := c.first(ctx, topic, len(sent))
	for _, record := range found {
		delete(sent, string(record.Value))
	}
	if err == nil && len(sent) > 0 {
		err = fmt.Errorf("%d records did not come", len(sent))
	}
	return err
}

// first gives the first count records of a topic, from the beginning, without a group.
func (c client) first(ctx context.Context, topic string, count int) ([]*kgo.Record, error) {
	cl, err := c.open(kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var found []*kgo.Record
	for len(found) < count {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("after %d records: %w", len(found), err)
		}
		found = append(found, fetches.Records()...)
	}
	return found, nil
}

func (c client) read(ctx context.Context, topic string) error {
	found, err := c.first(ctx, topic, records)
	if err != nil {
		return err
	}
	for i, record := range found {
		text := []byte(strconv.Itoa(i))
		switch {
		case record.Offset != int64(i):
			return fmt.Errorf("offset %d, not %d", record.Offset, i)
		case string(record.Key) != "k"+strconv.Itoa(i):
			return fmt.Errorf("key of %d: %q", i, record.Key)
		case !bytes.Equal(record.Value, valueOf(i)):
			return fmt.Errorf("value of %d differs", i)
		case !sameHeaders(record.Headers, []kgo.RecordHeader{{Key: "n", Value: text}}):
			return fmt.Errorf("headers of %d: %v", i, record.Headers)
		}
	}
	return nil
}

func (c client) special(ctx context.Context) error {
	cl, err := c.open()
	if err != nil {
		return err
	}
	defer cl.Close()
	topic := c.name + ".special"
	for _, pair := range special {
		record := &kgo.Record{Topic: topic, Key: pair[0], Value: pair[1], Headers: headers}
		if err := cl.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
	}
	found, err := c.first(ctx, topic, len(special))
	if err != nil {
		return err
	}
	for i, record := range found {
		if !same(record.Key, special[i][0]) || !same(record.Value, special[i][1]) {
			return fmt.Errorf("special record %d: key %#v, value %#v", i, record.Key, record.Value)
		}
		if !sameHeaders(record.Headers, headers) {
			return fmt.Errorf("headers %v", record.Headers)
		}
	}
	return nil
}

func (c client) sendRound(ctx context.Context, first int) error {
	cl, err := c.open(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	var all []*kgo.Record
	for i := first; i < first+round; i++ {
		all = append(all, &kgo.Record{
			Topic: c.name + ".group", Partition: int32(i % 4), Value: []byte(strconv.Itoa(i)),
		})
	}
	return cl.ProduceSync(ctx, all...).FirstErr()
}

// seen is what all members of the group have read.
type seen struct {
	sync.Mutex
	values map[int]bool
}

func (s *seen) size() int {
	s.Lock()
	defer s.Unlock()
	return len(s.values)
}

// member reads, commits what it read, and leaves when told.
type member struct {
	cl                *kgo.Client
	cancel            context.CancelFunc
	done              chan error
	mutex             sync.Mutex
	partitions, count int
}

func (m *member) has(partitions int) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.partitions == partitions
}

func (m *member) changed(by int) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		for _, list := range parts {
			m.partitions += by * len(list)
		}
	}
}

func (c client) join(ctx context.Context, to *seen) (*member, error) {
	m := &member{done: make(chan error, 1)}
	cl, err := c.open(kgo.ConsumerGroup(c.name+".group"), kgo.ConsumeTopics(c.name+".group"),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(300*time.Millisecond), kgo.OnPartitionsAssigned(m.changed(1)),
		kgo.OnPartitionsRevoked(m.changed(-1)), kgo.OnPartitionsLost(m.changed(-1)))
	if err != nil {
		return nil, err
	}
	m.cl = cl
	ctx, m.cancel = context.WithCancel(ctx)
	go func() { m.done <- m.consume(ctx, to) }()
	return m, nil
}

func (m *member) consume(ctx context.Context, to *seen) error {
	for ctx.Err() == nil {
		fetches := m.cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		for _, record := range fetches.Records() {
			i, err := strconv.Atoi(string(record.Value))
			if err != nil {
				return err
			}
			to.Lock()
			to.values[i] = true
			to.Unlock()
			m.mutex.Lock()
			m.count++
			m.mutex.Unlock()
		}
		err := m.cl.CommitUncommittedOffsets(context.Background())
		if err != nil && !errors.Is(err, kerr.RebalanceInProgress) {
			return fmt.Errorf("commit: %w", err)
		}
		m.cl.AllowRebalance()
	}
	return nil
}

func (m *member) leave() error {
	m.cancel()
	err := <-m.done
	m.cl.CloseAllowingRebalance()
	return err
}

func until(isTrue func() bool, what string, to *seen) error {
	for deadline := time.Now().Add(wait); !isTrue(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited for %s, seen %d", what, to.size())
		}
	}
	return nil
}

func (c client) group(ctx context.Context) error {
	to := &seen{values: map[int]bool{}}
	count := func(n int) func() bool { return func() bool { return to.size() >= n } }
	if err := c.sendRound(ctx, 0); err != nil {
		return err
	}
	first, err := c.join(ctx, to)
	if err != nil {
		return err
	}
	if err := until(count(round), "the first round", to); err != nil {
		return err
	}
	second, err := c.join(ctx, to)
	if err != nil {
		return err
	}
	both := func() bool { return first.has(2) && second.has(2) }
	err = errors.Join(until(both, "two partitions each", to), c.sendRound(ctx, round),
		until(count(2*round), "the second round", to))
	if err != nil {
		return err
	}
	if second.count == 0 {
		return errors.New("the second member read nothing")
	}
	err = errors.Join(first.leave(),
		until(func() bool { return second.has(4) }, "all partitions at the one that stayed", to),
		c.sendRound(ctx, 2*round), until(count(3*round), "the third round", to), second.leave())
	if err != nil {
		return err
	}
	to.values = map[int]bool{}
	if err := c.sendRound(ctx, 3*round); err != nil {
		return err
	}
	third, err := c.join(ctx, to)
	if err != nil {
		return err
	}
	if err := errors.Join(until(count(round), "the round after the commit", to), third.leave()); err != nil {
		return err
	}
	for i := range to.values {
		if i < 3*round {
			return fmt.Errorf("committed offsets went back: %d came again", i)
		}
	}
	return nil
}

func main() {
	if os.Args[1] == "read" {
		for _, topic := range os.Args[3:] {
			check("reads "+topic, func(ctx context.Context) error {
				return client{address: os.Args[2]}.read(ctx, topic)
			})
		}
		return
	}
	c := client{os.Args[2], os.Args[3]}
	check("admin: create, list, delete topics", c.admin)
	for _, codec := range codecs {
		check("produces "+codec+", acks=all, idempotent", func(ctx context.Context) error {
			return c.produce(ctx, codec)
		})
		check("consumes "+codec, func(ctx context.Context) error {
			return c.read(ctx, c.name+"."+codec)
		})
	}
	check("produces with acks=0 and acks=1, every codec", c.acks)
	check("headers, null keys, tombstones", c.special)
	check("group of two with a rebalance", c.group)
}
