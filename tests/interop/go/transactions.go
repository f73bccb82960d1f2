package main

import (
	"context"
	"errors"
	"fmt"
)

// batch is what one transaction writes.
func batch(topic, what string) (all []record) {
	for i := range few {
		all = append(all, record{topic: topic, partition: anyPartition, value: fmt.Appendf(nil, "%s %d", what, i)})
	}
	return all
}

func requireValues(found []record, expected ...record) error {
	if len(found) != len(expected) {
		return fmt.Errorf("%d records, not %d", len(found), len(expected))
	}
	for i, record := range found {
		if string(record.value) != string(expected[i].value) {
			return fmt.Errorf("record %d is %q, not %q", i, record.value, expected[i].value)
		}
	}
	return nil
}

// transactions: one that commits, one that aborts, one that commits; who reads committed sees two, who does not all three.
func (c client) transactions(ctx context.Context) error {
	topic := c.name + ".txn"
	producer, err := c.producer(c.way, producing{codec: "none", acks: -1, transaction: topic})
	if err != nil {
		return err
	}
	defer producer.close()
	kept, dropped, last := batch(topic, "kept"), batch(topic, "dropped"), batch(topic, "last")
	for _, part := range []struct {
		records []record
		commit  bool
	}{{kept, true}, {dropped, false}, {last, true}} {
		if err := producer.begin(); err != nil {
			return err
		}
		if _, err = producer.send(ctx, part.records); err != nil {
			return err
		}
		if err := producer.end(ctx, part.commit); err != nil {
			return err
		}
	}
	found, err := c.first(c.way, consuming{topic: topic, committed: true}, 2*few)
	if err = errors.Join(err, requireValues(found, append(kept, last...)...)); err != nil {
		return fmt.Errorf("read_committed: %w", err)
	}
	found, err = c.first(c.way, consuming{topic: topic}, 3*few)
	if err = errors.Join(err, requireValues(found, append(append(kept, dropped...), last...)...)); err != nil {
		return fmt.Errorf("read_uncommitted: %w", err)
	}
	return nil
}

// offsets: a group's offsets in a transaction go the way of the transaction. It reads what transactions left.
func (c client) offsets(ctx context.Context) error {
	from, to, group := c.name+".txn", c.name+".out", c.name+".txn-group"
	for _, commit := range []bool{false, true} { // both begin with the first record
		if err := c.transform(ctx, c.way, group, from, to, group, 2*few, commit); err != nil {
			return fmt.Errorf("commit %v: %w", commit, err)
		}
	}
	found, err := c.first(c.way, consuming{topic: to, committed: true}, 2*few)
	expected := append(batch(from, "kept"), batch(from, "last")...)
	if err = errors.Join(err, requireValues(found, expected...)); err != nil {
		return fmt.Errorf("what was written: %w", err)
	}
	one := record{topic: from, partition: anyPartition, value: []byte("one more")}
	if _, err := c.send(ctx, producing{codec: "none", acks: -1}, []record{one}); err != nil {
		return err
	}
	found, err = c.first(c.way, consuming{topic: from, group: group, protocol: "classic", committed: true}, 1)
	if err = errors.Join(err, requireValues(found, one)); err != nil {
		return fmt.Errorf("after the committed offset: %w", err)
	}
	return nil
}
