package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"
)

// way is how a client comes in.
type way struct {
	address               string
	ca, certificate, key  string // PEM files; no ca: plaintext
	mechanism, user, pass string // no mechanism: without SASL
	token                 string // of OAUTHBEARER
}

func (w way) tls() *tls.Config {
	if w.ca == "" {
		return nil
	}
	pem, err := os.ReadFile(w.ca)
	if err != nil {
		panic(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if w.certificate != "" {
		pair, err := tls.LoadX509KeyPair(w.certificate, w.key)
		if err != nil {
			panic(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

type header struct {
	key   string
	value []byte
}

type record struct {
	topic      string
	partition  int // anyPartition: the client chooses
	offset     int64
	key, value []byte
	headers    []header
}

const anyPartition = -1

type producing struct {
	codec       string
	acks        int    // -1: all, and idempotent where the client has it
	transaction string // its id
}

type consuming struct {
	topic     string
	group     string // none: partition 0 from its beginning
	protocol  string // classic, consumer
	committed bool   // read_committed
}

// driver is one client. What it cannot is in cannot, by the names of checks or how they begin; the methods that these would
// need are not called.
type driver interface {
	cannot() map[string]string
	emptyIsNull() bool // it reads empty ones as null: keys, values, those of headers
	admin(way) (admin, error)
	producer(way, producing) (producer, error)
	consumer(way, consuming) (consumer, error)
	// transform reads count records of a topic in a group, writes them to another with their offsets in one transaction
	// (KIP-98: consume, transform, produce), and commits that or aborts it.
	transform(ctx context.Context, w way, group, from, to, transaction string, count int, commit bool) error
}

type admin interface {
	create(ctx context.Context, partitions int, topics ...string) error // all, or the first error
	exists(err error) bool                                              // err tells that a topic exists already
	partitions(ctx context.Context, topic string) (int, error)          // 0: there is none
	remove(ctx context.Context, topic string) error
	configure(ctx context.Context, topic, key, value string) error
	config(ctx context.Context, topic, key string) (string, error)
	groups(ctx context.Context) ([]string, error)
	group(ctx context.Context, group string) (state string, err error)
	removeGroup(ctx context.Context, group string) error
	close()
}

type producer interface {
	send(ctx context.Context, records []record) (offsets []int64, err error) // no offsets: the client does not tell them
	begin() error
	end(ctx context.Context, commit bool) error
	close()
}

type consumer interface {
	poll(wait time.Duration) ([]record, error)
	commit() error
	assigned() int
	close() error
}
