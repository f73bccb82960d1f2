package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const round = 400 // records of one round of the group

func (c client) sendRound(ctx context.Context, topic string, first int) error {
	var all []record
	for i := first; i < first+round; i++ {
		all = append(all, record{topic: topic, partition: i % 4, value: []byte(strconv.Itoa(i))})
	}
	_, err := c.send(ctx, producing{codec: "none", acks: -1}, all)
	return err
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
	consumer
	stop  atomic.Bool
	count atomic.Int32
	done  chan error
}

func (c client) join(topic, protocol string, to *seen) (*member, error) {
	consumer, err := c.consumer(c.way, consuming{topic: topic, group: topic, protocol: protocol})
	if err != nil {
		return nil, err
	}
	m := &member{consumer: consumer, done: make(chan error, 1)}
	go func() { m.done <- m.consume(to) }()
	return m, nil
}

func (m *member) consume(to *seen) error {
	for !m.stop.Load() {
		records, err := m.poll(200 * time.Millisecond)
		if err != nil {
			return err
		}
		for _, record := range records {
			i, err := strconv.Atoi(string(record.value))
			if err != nil {
				return err
			}
			to.Lock()
			to.values[i] = true
			to.Unlock()
			m.count.Add(1)
		}
		if err := m.commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

func (m *member) leave() error {
	m.stop.Store(true)
	return errors.Join(<-m.done, m.close())
}

func until(isTrue func() bool, what string, to *seen, members ...*member) error {
	for deadline := time.Now().Add(wait); !isTrue(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			text := fmt.Sprintf("waited for %s, seen %d", what, to.size())
			for _, m := range members {
				text += fmt.Sprintf(", %d partitions", m.assigned())
				select {
				case err := <-m.done:
					text += fmt.Sprintf(", a member failed: %v", err)
					m.done <- err
				default:
				}
			}
			return errors.New(text)
		}
	}
	return nil
}

func (c client) group(ctx context.Context, topic, protocol string) error {
	to := &seen{values: map[int]bool{}}
	count := func(n int) func() bool { return func() bool { return to.size() >= n } }
	if err := c.sendRound(ctx, topic, 0); err != nil {
		return err
	}
	first, err := c.join(topic, protocol, to)
	if err != nil {
		return err
	}
	if err := until(count(round), "the first round", to, first); err != nil {
		return err
	}
	second, err := c.join(topic, protocol, to)
	if err != nil {
		return err
	}
	both := func() bool { return first.assigned() == 2 && second.assigned() == 2 }
	err = errors.Join(until(both, "two partitions each", to, first, second), c.sendRound(ctx, topic, round),
		until(count(2*round), "the second round", to, first, second))
	if err != nil {
		return err
	}
	if second.count.Load() == 0 {
		return errors.New("the second member read nothing")
	}
	err = errors.Join(first.leave(),
		until(func() bool { return second.assigned() == 4 }, "all partitions at the one that stayed", to, second),
		c.sendRound(ctx, topic, 2*round), until(count(3*round), "the third round", to, second), second.leave())
	if err != nil {
		return err
	}
	to.values = map[int]bool{}
	if err := c.sendRound(ctx, topic, 3*round); err != nil {
		return err
	}
	third, err := c.join(topic, protocol, to)
	if err != nil {
		return err
	}
	if err := errors.Join(until(count(round), "the round after the commit", to, third), third.leave()); err != nil {
		return err
	}
	for i := range to.values {
		if i < 3*round {
			return fmt.Errorf("committed offsets went back: %d came again", i)
		}
	}
	return nil
}
