//go:build confluent

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

type confluent struct{}

func newDriver() driver { return confluent{} }

func (confluent) cannot() map[string]string { return nil }
func (confluent) emptyIsNull() bool         { return false }

func confluentConfig(w way, more kafka.ConfigMap) *kafka.ConfigMap {
	config := kafka.ConfigMap{"bootstrap.servers": w.address, "broker.address.family": "v4"}
	if debug := os.Getenv("INTEROP_DEBUG"); debug != "" {
		config["debug"] = debug
	}
	protocol := "plaintext"
	if w.ca != "" {
		protocol = "ssl"
		config["ssl.ca.location"] = w.ca
	}
	if w.certificate != "" {
		config["ssl.certificate.location"], config["ssl.key.location"] = w.certificate, w.key
	}
	if w.mechanism != "" {
		protocol = "sasl_" + protocol
		config["sasl.mechanism"] = w.mechanism
		if w.mechanism != "OAUTHBEARER" {
			config["sasl.username"], config["sasl.password"] = w.user, w.pass
		}
	}
	config["security.protocol"] = protocol
	for key, value := range more {
		config[key] = value
	}
	return &config
}

type confluentHandle interface {
	SetOAuthBearerToken(kafka.OAuthBearerToken) error
}

// confluentLogin gives the token at once instead of when it is asked for.
func confluentLogin(w way, handle confluentHandle) error {
	if w.mechanism != "OAUTHBEARER" {
		return nil
	}
	return handle.SetOAuthBearerToken(kafka.OAuthBearerToken{
		TokenValue: w.token, Expiration: time.Now().Add(time.Hour), Principal: w.user})
}

type confluentAdmin struct {
	*kafka.AdminClient
}

func (confluent) admin(w way) (admin, error) {
	admin, err := kafka.NewAdminClient(confluentConfig(w, nil))
	return confluentAdmin{admin}, err
}

func confluentErrors(results []kafka.TopicResult, err error) error {
	for _, result := range results {
		if err == nil && result.Error.Code() != kafka.ErrNoError {
			err = result.Error
		}
	}
	return err
}

func (a confluentAdmin) create(ctx context.Context, partitions int, topics ...string) error {
	all := []kafka.TopicSpecification{}
	for _, topic := range topics {
		all = append(all, kafka.TopicSpecification{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1})
	}
	return confluentErrors(a.CreateTopics(ctx, all))
}

func (confluentAdmin) exists(err error) bool {
	var failed kafka.Error
	return errors.As(err, &failed) && failed.Code() == kafka.ErrTopicAlreadyExists
}

func (a confluentAdmin) partitions(_ context.Context, topic string) (int, error) {
	listed, err := a.GetMetadata(nil, true, int(wait.Milliseconds()))
	if err != nil {
		return 0, err
	}
	return len(listed.Topics[topic].Partitions), nil
}

func (a confluentAdmin) remove(ctx context.Context, topic string) error {
	return confluentErrors(a.DeleteTopics(ctx, []string{topic}))
}

func (a confluentAdmin) configure(ctx context.Context, topic, key, value string) error {
	results, err := a.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic,
		Config: []kafka.ConfigEntry{{Name: key, Value: value, IncrementalOperation: kafka.AlterConfigOpTypeSet}}}})
	for _, result := range results {
		if err == nil && result.Error.Code() != kafka.ErrNoError {
			err = result.Error
		}
	}
	return err
}

func (a confluentAdmin) config(ctx context.Context, topic, key string) (string, error) {
	results, err := a.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic}})
	if err != nil || len(results) != 1 || results[0].Error.Code() != kafka.ErrNoError {
		return "", fmt.Errorf("%v: %w", results, err)
	}
	return results[0].Config[key].Value, nil
}

func (a confluentAdmin) groups(ctx context.Context) (names []string, err error) {
	listed, err := a.ListConsumerGroups(ctx)
	for _, one := range listed.Valid {
		names = append(names, one.GroupID)
	}
	return names, errors.Join(append(listed.Errors, err)...)
}

func (a confluentAdmin) group(ctx context.Context, group string) (string, error) {
	about, err := a.DescribeConsumerGroups(ctx, []string{group})
	if err != nil {
		return "", err
	}
	one := about.ConsumerGroupDescriptions[0]
	if one.Error.Code() != kafka.ErrNoError {
		return "", one.Error
	}
	return one.State.String(), nil
}

func (a confluentAdmin) removeGroup(ctx context.Context, group string) error {
	gone, err := a.DeleteConsumerGroups(ctx, []string{group})
	if err == nil && gone.ConsumerGroupResults[0].Error.Code() != kafka.ErrNoError {
		err = gone.ConsumerGroupResults[0].Error
	}
	return err
}

func (a confluentAdmin) close() { a.Close() }

type confluentProducer struct {
	*kafka.Producer
	acks int
}

func (confluent) producer(w way, how producing) (producer, error) {
	config := confluentConfig(w, kafka.ConfigMap{"acks": how.acks, "compression.codec": how.codec, "linger.ms": 5,
		"enable.idempotence": how.acks == -1, "go.logs.channel.enable": false})
	if how.transaction != "" {
		config.SetKey("transactional.id", how.transaction)
	}
	made, err := kafka.NewProducer(config)
	if err != nil {
		return nil, err
	}
	if err = confluentLogin(w, made); err == nil && how.transaction != "" {
		err = made.InitTransactions(context.Background())
	}
	return confluentProducer{made, how.acks}, err
}

func (p confluentProducer) send(ctx context.Context, records []record) (offsets []int64, err error) {
	reports := make(chan kafka.Event, len(records))
	for _, one := range records {
		m := &kafka.Message{Key: one.key, Value: one.value,
			TopicPartition: kafka.TopicPartition{Topic: &one.topic, Partition: kafka.PartitionAny}}
		if one.partition != anyPartition {
			m.TopicPartition.Partition = int32(one.partition)
		}
		for _, h := range one.headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
		}
		if err := p.Produce(m, reports); err != nil {
			return nil, err
		}
	}
	for range records {
		select {
		case event := <-reports:
			m := event.(*kafka.Message)
			err = errors.Join(err, m.TopicPartition.Error)
			offsets = append(offsets, int64(m.TopicPartition.Offset))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return offsets, err
}

func (p confluentProducer) begin() error { return p.BeginTransaction() }
func (p confluentProducer) close()       { p.Close() }
func (p confluentProducer) end(ctx context.Context, commit bool) error {
	if commit {
		return p.CommitTransaction(ctx)
	}
	return p.AbortTransaction(ctx)
}

type confluentConsumer struct {
	*kafka.Consumer
}

func (confluent) consumer(w way, how consuming) (consumer, error) {
	config := confluentConfig(w, kafka.ConfigMap{"group.id": "none", "enable.auto.commit": false,
		"auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 2000,
		"isolation.level": "read_uncommitted"})
	if how.committed {
		config.SetKey("isolation.level", "read_committed")
	}
	if how.group != "" {
		config.SetKey("group.id", how.group)
	}
	if how.protocol == "consumer" {
		config.SetKey("group.protocol", how.protocol)
	} else {
		config.SetKey("session.timeout.ms", 10000)
		config.SetKey("heartbeat.interval.ms", 300)
	}
	made, err := kafka.NewConsumer(config)
	if err != nil {
		return nil, err
	}
	if err := confluentLogin(w, made); err != nil {
		return nil, err
	}
	if how.group != "" {
		return confluentConsumer{made}, made.Subscribe(how.topic, nil)
	}
	return confluentConsumer{made}, made.Assign([]kafka.TopicPartition{{Topic: &how.topic, Offset: kafka.OffsetBeginning}})
}

func (c confluentConsumer) poll(limit time.Duration) (found []record, err error) {
	for deadline := time.Now().Add(limit); len(found) < 100; {
		left := max(0, time.Until(deadline).Milliseconds())
		switch event := c.Poll(int(left)).(type) {
		case *kafka.Message:
			one := record{topic: *event.TopicPartition.Topic, partition: int(event.TopicPartition.Partition),
				offset: int64(event.TopicPartition.Offset), key: event.Key, value: event.Value}
			for _, h := range event.Headers {
				one.headers = append(one.headers, header{h.Key, h.Value})
			}
			found = append(found, one)
		case kafka.Error:
			if event.IsFatal() || event.Code() == kafka.ErrAuthentication {
				return found, event
			}
		}
		if left == 0 {
			return found, nil
		}
	}
	return found, nil
}

func (c confluentConsumer) commit() error {
	var failed kafka.Error
	_, err := c.Commit()
	if errors.As(err, &failed) {
		switch failed.Code() {
		case kafka.ErrNoOffset, kafka.ErrRebalanceInProgress, kafka.ErrIllegalGeneration, kafka.ErrStaleMemberEpoch:
			return nil // nothing to commit, or the next poll takes part in a rebalance
		}
	}
	return err
}

func (c confluentConsumer) assigned() int {
	all, _ := c.Assignment()
	return len(all)
}

func (c confluentConsumer) close() error { return c.Close() }

func (d confluent) transform(ctx context.Context, w way, group, from, to, transaction string, count int,
	commit bool) error {
	made, err := d.consumer(w, consuming{topic: from, group: group, committed: true})
	if err != nil {
		return err
	}
	consumer := made.(confluentConsumer)
	defer consumer.close()
	producer, err := d.producer(w, producing{codec: "none", acks: -1, transaction: transaction})
	if err != nil {
		return err
	}
	defer producer.close()
	if err := producer.begin(); err != nil {
		return err
	}
	for done := 0; done < count; {
		found, err := consumer.poll(200 * time.Millisecond)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		for i := range found {
			found[i].topic = to
		}
		if _, err := producer.send(ctx, found); err != nil {
			return err
		}
		done += len(found)
	}
	assignment, err := consumer.Assignment()
	if err != nil {
		return err
	}
	positions, err := consumer.Position(assignment)
	if err != nil {
		return err
	}
	metadata, err := consumer.GetConsumerGroupMetadata()
	if err != nil {
		return err
	}
	if err := producer.(confluentProducer).SendOffsetsToTransaction(ctx, positions, metadata); err != nil {
		return err
	}
	return producer.end(ctx, commit)
}
