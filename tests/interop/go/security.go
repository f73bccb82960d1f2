package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// security: each way in is gone with a few records there and back, each that must be refused is tried and lets none through.
func (c client) security() {
	env := os.Getenv
	ca, other := env("INTEROP_CA"), env("INTEROP_OTHER_CA")
	login := func(listener, ca, mechanism, pass string) way {
		return way{address: env(listener), ca: ca, mechanism: mechanism, user: env("INTEROP_USER"), pass: pass,
			token: env("INTEROP_TOKEN")}
	}
	pass := env("INTEROP_PASSWORD")
	for _, row := range []struct {
		name  string
		later bool
		way
		refused bool
	}{
		{"SASL PLAIN", true, login("INTEROP_SASL", "", "PLAIN", pass), false},
		{"SASL PLAIN, a wrong password is refused", true, login("INTEROP_SASL", "", "PLAIN", "wrong"), true},
		{"SASL SCRAM-SHA-256", true, login("INTEROP_SASL", "", "SCRAM-SHA-256", pass), false},
		{"SASL SCRAM-SHA-256, a wrong password is refused", true, login("INTEROP_SASL", "", "SCRAM-SHA-256", "wrong"), true},
		{"SASL SCRAM-SHA-512", true, login("INTEROP_SASL", "", "SCRAM-SHA-512", pass), false},
		{"SASL OAUTHBEARER", true, login("INTEROP_SASL", "", "OAUTHBEARER", ""), false},
		{"TLS", true, way{address: env("INTEROP_TLS"), ca: ca}, false},
		{"TLS, another authority is refused", true, way{address: env("INTEROP_TLS"), ca: other}, true},
		{"mTLS", true, way{address: env("INTEROP_MTLS"), ca: ca, certificate: env("INTEROP_CERTIFICATE"),
			key: env("INTEROP_KEY")}, false},
		{"mTLS, no certificate is refused", true, way{address: env("INTEROP_MTLS"), ca: ca}, true},
		{"SASL PLAIN over TLS", true, login("INTEROP_SASL_TLS", ca, "PLAIN", pass), false},
		{"SASL SCRAM-SHA-512 over TLS", false, login("INTEROP_SASL_TLS", ca, "SCRAM-SHA-512", pass), false},
	} {
		c.check(row.name, row.later, func(ctx context.Context) error {
			if row.refused {
				return c.isRefused(ctx, row.name, row.way)
			}
			return c.comesIn(ctx, row.name, row.way)
		})
	}
}

func (c client) comesIn(ctx context.Context, name string, w way) error {
	topic := c.name + ".secure"
	producer, err := c.producer(w, producing{codec: "none", acks: -1})
	if err != nil {
		return err
	}
	defer producer.close()
	all := batch(topic, name)
	if _, err := producer.send(ctx, all); err != nil {
		return err
	}
	consumer, err := c.consumer(w, consuming{topic: topic})
	if err != nil {
		return err
	}
	last := string(all[few-1].value)
	for ctx.Err() == nil && err == nil {
		var records []record
		records, err = consumer.poll(refusal / 20)
		for _, record := range records {
			if string(record.value) == last {
				return consumer.close()
			}
		}
	}
	return errors.Join(err, ctx.Err(), consumer.close(), errors.New("the records did not come back"))
}

func (c client) isRefused(ctx context.Context, name string, w way) error {
	ctx, cancel := context.WithTimeout(ctx, refusal)
	defer cancel()
	producer, err := c.producer(w, producing{codec: "none", acks: -1})
	if err != nil {
		return nil
	}
	defer producer.close()
	if _, err = producer.send(ctx, batch(c.name+".secure", name)); err == nil {
		return fmt.Errorf("records were taken")
	}
	return nil
}
