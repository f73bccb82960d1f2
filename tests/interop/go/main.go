// The Go clients against the broker: the checks of ../README.md, over the driver that was built in.
//
//	interop write ADDRESS NAME     all checks on topics NAME.*
//	interop read ADDRESS TOPIC…    reads what other clients wrote
//
// Environment: ../listeners.py; INTEROP_SHARE=whole for all checks.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	records = 300 // of a codec
	few     = 20  // of a codec with acks 0 or 1, of a transaction
	wait    = 30 * time.Second
	refusal = 3 * time.Second // who has not come in by then was refused
)

var (
	codecs  = []string{"none", "gzip", "snappy", "lz4", "zstd"}
	special = [][2][]byte{ // key, value
		{nil, []byte("no key")},
		{[]byte("tombstone"), nil},
		{nil, {}},
		{{}, []byte("empty key")},
		{nil, nil},
	}
	headers = []header{
		{"n", []byte("3")},
		{"bin", []byte{0, 0xff, 0x80}},
		{"dup", []byte("1")},
		{"dup", []byte("2")},
		{"empty", []byte{}},
		{"null", nil},
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

type client struct {
	driver
	way
	name  string
	whole bool
}

// same tells null from empty, which bytes.Equal does not.
func (c client) same(a, b []byte) bool {
	return (c.emptyIsNull() || (a == nil) == (b == nil)) && bytes.Equal(a, b)
}

func (c client) sameHeaders(a, b []header) bool {
	return slices.EqualFunc(a, b, func(a, b header) bool { return a.key == b.key && c.same(a.value, b.value) })
}

// check is a line of output; later: not in CI's share.
func (c client) check(name string, later bool, work func(context.Context) error) {
	for begin, why := range c.cannot() {
		if strings.HasPrefix(name, begin) {
			fmt.Printf("skip %s (%s)\n", name, why)
			return
		}
	}
	if later && !c.whole {
		fmt.Println("left", name)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	if err := work(ctx); err != nil { // every failure is a line, the others go on
		fmt.Printf("fail %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println("ok", name)
}

func (c client) topics(ctx context.Context) error {
	admin, err := c.admin(c.way)
	if err != nil {
		return err
	}
	defer admin.close()
	topics, gone := []string{}, c.name+".gone"
	for _, what := range append([]string{"special", "acks", "txn", "out", "secure"}, codecs...) {
		topics = append(topics, c.name+"."+what)
	}
	err = admin.create(ctx, 1, topics...)
	if err = errors.Join(err, admin.create(ctx, 4, c.name+".group", c.name+".new", gone)); err != nil {
		return err
	}
	if err := admin.create(ctx, 1, topics[0]); !admin.exists(err) {
		return fmt.Errorf("creating a topic that exists: %v", err)
	}
	if count, err := admin.partitions(ctx, gone); err != nil || count != 4 {
		return fmt.Errorf("a new topic has %d partitions: %w", count, err)
	}
	if err := admin.remove(ctx, gone); err != nil {
		return err
	}
	if count, err := admin.partitions(ctx, gone); err != nil || count != 0 {
		return fmt.Errorf("a deleted topic has %d partitions: %w", count, err)
	}
	return nil
}

// describe comes after the group.
func (c client) describe(ctx context.Context) error {
	admin, err := c.admin(c.way)
	if err != nil {
		return err
	}
	defer admin.close()
	topic, group := c.name+".special", c.name+".group"
	if err := admin.configure(ctx, topic, "retention.ms", "3600000"); err != nil {
		return err
	}
	for key, expected := range map[string]string{"retention.ms": "3600000", "cleanup.policy": "delete"} {
		if value, err := admin.config(ctx, topic, key); err != nil || value != expected {
			return fmt.Errorf("%s is %q: %w", key, value, err)
		}
	}
	if groups, err := admin.groups(ctx); err != nil || !slices.Contains(groups, group) {
		return fmt.Errorf("groups %v: %w", groups, err)
	}
	if state, err := admin.group(ctx, group); err != nil || state != "Empty" {
		return fmt.Errorf("state of the group: %q: %w", state, err)
	}
	return nil
}

func (c client) deleteGroup(ctx context.Context) error {
	admin, err := c.admin(c.way)
	if err != nil {
		return err
	}
	defer admin.close()
	group := c.name + ".group"
	if err := admin.removeGroup(ctx, group); err != nil {
		return err
	}
	if groups, err := admin.groups(ctx); err != nil || slices.Contains(groups, group) {
		return fmt.Errorf("groups after the deletion %v: %w", groups, err)
	}
	return nil
}

// send is a producer for these records alone.
func (c client) send(ctx context.Context, how producing, all []record) ([]int64, error) {
	producer, err := c.producer(c.way, how)
	if err != nil {
		return nil, err
	}
	defer producer.close()
	return producer.send(ctx, all)
}

func (c client) produce(ctx context.Context, codec string) error {
	var all []record
	for i := range records {
		n := []byte(strconv.Itoa(i))
		all = append(all, record{topic: c.name + "." + codec, partition: anyPartition, key: append([]byte("k"), n...),
			value: valueOf(i), headers: []header{{"n", n}}})
	}
	offsets, err := c.send(ctx, producing{codec: codec, acks: -1}, all)
	for i, offset := range offsets {
		if offset != int64(i) && err == nil {
			err = fmt.Errorf("record %d got offset %d", i, offset)
		}
	}
	return err
}

// acks is not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read.
func (c client) acks(ctx context.Context) error {
	topic, sent := c.name+".acks", map[string]bool{}
	for acks := range 2 {
		for _, codec := range codecs {
			var all []record
			for i := range few {
				value := fmt.Sprintf("acks %d, %s, %d", acks, codec, i)
				all = append(all, record{topic: topic, partition: anyPartition, value: []byte(value)})
				sent[value] = true
			}
			if _, err := c.send(ctx, producing{codec: codec, acks: acks}, all); err != nil {
				return fmt.Errorf("acks=%d, %s: %w", acks, codec, err)
			}
		}
	}
	found, err := c.first(c.way, consuming{topic: topic}, len(sent))
	for _, record := range found {
		delete(sent, string(record.value))
	}
	if err == nil && len(sent) > 0 {
		err = fmt.Errorf("%d records did not come", len(sent))
	}
	return err
}

// first gives the first count records of a topic.
func (c client) first(w way, how consuming, count int) (found []record, err error) {
	consumer, err := c.consumer(w, how)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, consumer.close()) }()
	for deadline := time.Now().Add(wait); len(found) < count; {
		some, err := consumer.poll(200 * time.Millisecond)
		found = append(found, some...)
		if err == nil && time.Now().After(deadline) {
			err = errors.New("no more came")
		}
		if err != nil {
			return nil, fmt.Errorf("after %d records: %w", len(found), err)
		}
	}
	return found, nil
}

func (c client) read(_ context.Context, topic string) error {
	found, err := c.first(c.way, consuming{topic: topic}, records)
	if err != nil {
		return err
	}
	for i, record := range found {
		n := []byte(strconv.Itoa(i))
		switch {
		case record.offset != int64(i):
			return fmt.Errorf("offset %d, not %d", record.offset, i)
		case string(record.key) != "k"+string(n):
			return fmt.Errorf("key of %d: %q", i, record.key)
		case !bytes.Equal(record.value, valueOf(i)):
			return fmt.Errorf("value of %d differs", i)
		case !c.sameHeaders(record.headers, []header{{"n", n}}):
			return fmt.Errorf("headers of %d: %v", i, record.headers)
		}
	}
	return nil
}

func (c client) special(ctx context.Context) error {
	topic := c.name + ".special"
	for _, pair := range special {
		one := record{topic: topic, partition: anyPartition, key: pair[0], value: pair[1], headers: headers}
		if _, err := c.send(ctx, producing{codec: "none", acks: -1}, []record{one}); err != nil {
			return err
		}
	}
	found, err := c.first(c.way, consuming{topic: topic}, len(special))
	if err != nil {
		return err
	}
	for i, record := range found {
		if !c.same(record.key, special[i][0]) || !c.same(record.value, special[i][1]) {
			return fmt.Errorf("special record %d: key %#v, value %#v", i, record.key, record.value)
		}
		if !c.sameHeaders(record.headers, headers) {
			return fmt.Errorf("headers %v", record.headers)
		}
	}
	return nil
}

func main() {
	c := client{driver: newDriver(), way: way{address: os.Args[2]}, name: os.Args[3],
		whole: os.Getenv("INTEROP_SHARE") == "whole"}
	if os.Args[1] == "read" {
		for _, topic := range os.Args[3:] {
			c.check("reads "+topic, false, func(ctx context.Context) error { return c.read(ctx, topic) })
		}
		return
	}
	c.check("admin: create, list, delete topics", false, c.topics)
	how := ", acks=all, idempotent"
	if why, cannot := c.cannot()["idempotent"]; cannot {
		how = ", acks=all"
		fmt.Printf("skip idempotent producer (%s)\n", why)
	}
	for _, codec := range codecs {
		c.check("produces "+codec+how, false, func(ctx context.Context) error {
			return c.produce(ctx, codec)
		})
		c.check("consumes "+codec, false, func(ctx context.Context) error {
			return c.read(ctx, c.name+"."+codec)
		})
	}
	c.check("produces with acks=0 and acks=1, every codec", false, c.acks)
	c.check("headers, null keys, tombstones", false, c.special)
	c.check("group of two with a rebalance", false, func(ctx context.Context) error {
		return c.group(ctx, c.name+".group", "classic")
	})
	c.check("group.protocol=consumer", true, func(ctx context.Context) error {
		return c.group(ctx, c.name+".new", "consumer")
	})
	c.check("admin: describe, configs, groups", true, c.describe)
	c.check("admin: deletes a group", true, c.deleteGroup)
	c.check("transactions: commit, abort, read_committed", false, c.transactions)
	c.check("transactions: offsets of a group", true, c.offsets)
	c.security()
}
