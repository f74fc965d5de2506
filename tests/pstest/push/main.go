// Command push serves Google's own in-memory Pub/Sub with what the cloud has besides: push subscriptions and a clock.
//
//	push -project P -topics tick,reap,events -push tick=tick=URL -push reap=reap=URL -tokens URL -tick 60s
//
// It listens on a free port of 127.0.0.1 and prints "host:port". Each -push makes a subscription of that name and topic
// whose messages are sent to the URL as Cloud Pub/Sub sends them, with a token that is fetched from -tokens for the
// URL without its path as audience: one that is not
// answered with success comes again after -backoff, and after 10 attempts goes to the topic dead, whose subscription is
// emptied and counted. Every -tick a message is published to the topic tick, as Cloud Scheduler does.
//
// Of its standard input it reads lines: "pause" and "resume" stop and start the clock, "publish TOPIC" publishes a
// message, and after every line it prints one line of JSON with what was counted so far. When its standard input closes it ends, so it cannot outlive who
// started it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

// ackDeadline is how long a push may take, as module push says it.
const ackDeadline = 60

// attempts is how often a message is tried before it is a dead letter, as module push says it.
const attempts = 10

// counts is what is answered to every line.
type counts struct {
	Ticks     int64 `json:"ticks"`
	Delivered int64 `json:"delivered"`
	Refused   int64 `json:"refused"`
	Dead      int64 `json:"dead"`
}

var ticks, delivered, refused, dead atomic.Int64

// push is one value of -push.
type push struct{ name, topic, url string }

// pushes collects the values of -push.
type pushes []push

func (p *pushes) String() string { return fmt.Sprint(*p) }

// Set implements flag.Value.
func (p *pushes) Set(text string) error {
	parts := strings.SplitN(text, "=", 3)
	if len(parts) != 3 {
		return fmt.Errorf("must be NAME=TOPIC=URL")
	}
	*p = append(*p, push{parts[0], parts[1], parts[2]})
	return nil
}

// audience is whom the tokens of a push to a URL are for.
func audience(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	return parsed.Scheme + "://" + parsed.Host, nil
}

// subscriber sends the messages of one subscription on.
type subscriber struct {
	server  *pstest.Server
	name    string
	url     string
	tokens  string
	backoff time.Duration
}

// run goes on until the process ends.
func (s subscriber) run() {
	for {
		request := &pubsubpb.PullRequest{Subscription: s.name, MaxMessages: 1}
		answer, err := s.server.GServer.Pull(context.Background(), request)
		if err != nil {
			log.Fatalf("pulling from %s: %v", s.name, err)
		}
		for _, message := range answer.ReceivedMessages {
			go s.deliver(message)
		}
	}
}

// deliver acknowledges what was answered with success, and lets the rest come again.
func (s subscriber) deliver(received *pubsubpb.ReceivedMessage) {
	err := s.post(received.Message)
	if err == nil {
		delivered.Add(1)
		acknowledge(s.server, s.name, received.AckId)
		return
	}
	refused.Add(1)
	fmt.Fprintf(os.Stderr, "a push to %s failed: %v\n", s.url, err)
	time.Sleep(s.backoff)
	ids := []string{received.AckId}
	request := &pubsubpb.ModifyAckDeadlineRequest{Subscription: s.name, AckIds: ids, AckDeadlineSeconds: 0}
	if _, err = s.server.GServer.ModifyAckDeadline(context.Background(), request); err != nil {
		log.Fatalf("answering for %s: %v", s.name, err)
	}
}

// countDead empties the subscription of dead letters until the process ends.
//
// pstest 2.8 does not take a dead letter from the subscription that it comes from: it acknowledges it by an id that its
// own check calls outdated, and publishes it again with every pull. So it is taken here, by the id of its last attempt.
func countDead(server *pstest.Server, name string, sources []string) {
	seen := map[string]bool{}
	for {
		answer, err := server.GServer.Pull(context.Background(), &pubsubpb.PullRequest{Subscription: name, MaxMessages: 1})
		if err != nil {
			log.Fatalf("pulling from %s: %v", name, err)
		}
		for _, letter := range answer.ReceivedMessages {
			id := letter.Message.MessageId
			acknowledge(server, name, letter.AckId)
			for _, source := range sources {
				acknowledge(server, source, fmt.Sprintf("%s:%d", id, attempts))
			}
			if !seen[id] {
				seen[id] = true
				dead.Add(1)
			}
		}
	}
}

func acknowledge(server *pstest.Server, subscription, id string) {
	request := &pubsubpb.AcknowledgeRequest{Subscription: subscription, AckIds: []string{id}}
	if _, err := server.GServer.Acknowledge(context.Background(), request); err != nil {
		log.Fatalf("answering for %s: %v", subscription, err)
	}
}

// post sends a message in the wrapped form of Cloud Pub/Sub.
func (s subscriber) post(message *pubsubpb.PubsubMessage) error {
	body, err := json.Marshal(map[string]any{
		"subscription": s.name,
		"message": map[string]any{
			"data": message.Data, "attributes": message.Attributes, "messageId": message.MessageId,
			"publishTime": message.PublishTime.AsTime().Format(time.RFC3339Nano),
		},
	})
	if err != nil {
		return err
	}
	token, err := fetch(s.tokens)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: ackDeadline * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return fmt.Errorf("%s: %s", answer.Status, said)
	}
	return nil
}

// fetch asks the stand-in issuer for a token.
func fetch(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var told struct{ Token string }
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		return "", err
	}
	return told.Token, nil
}

func main() {
	project := flag.String("project", "", "the project of the topics")
	topics := flag.String("topics", "tick,reap,events,dead", "the topics")
	backoff := flag.Duration("backoff", 10*time.Second, "the shortest wait before a message comes again")
	tokens := flag.String("tokens", "", "who gives the token of a push")
	every := flag.Duration("tick", time.Minute, "how often the clock ticks")
	var wanted pushes
	flag.Var(&wanted, "push", "NAME=TOPIC=URL")
	flag.Parse()

	server := pstest.NewServerWithAddress("127.0.0.1:0")
	defer server.Close()
	topic := func(name string) string { return fmt.Sprintf("projects/%s/topics/%s", *project, name) }
	for _, name := range strings.Split(*topics, ",") {
		if _, err := server.GServer.CreateTopic(context.Background(), &pubsubpb.Topic{Name: topic(name)}); err != nil {
			log.Fatalf("creating %s: %v", name, err)
		}
	}
	subscribed := func(name string) string { return fmt.Sprintf("projects/%s/subscriptions/%s", *project, name) }
	letters := &pubsubpb.Subscription{Name: subscribed("dead"), Topic: topic("dead"), AckDeadlineSeconds: ackDeadline}
	if _, err := server.GServer.CreateSubscription(context.Background(), letters); err != nil {
		log.Fatalf("subscribing to dead letters: %v", err)
	}
	var sources []string
	for _, push := range wanted {
		sources = append(sources, subscribed(push.name))
	}
	go countDead(server, letters.Name, sources)
	policy := &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topic("dead"), MaxDeliveryAttempts: attempts}
	for _, push := range wanted {
		whom, err := audience(push.url)
		if err != nil {
			log.Fatalf("reading %s: %v", push.url, err)
		}
		asked := *tokens + "?audience=" + url.QueryEscape(whom)
		s := subscriber{server, subscribed(push.name), push.url, asked, *backoff}
		subscription := &pubsubpb.Subscription{
			Name: s.name, Topic: topic(push.topic), AckDeadlineSeconds: ackDeadline, DeadLetterPolicy: policy,
		}
		if _, err := server.GServer.CreateSubscription(context.Background(), subscription); err != nil {
			log.Fatalf("subscribing to %s: %v", push.name, err)
		}
		go s.run()
	}
	fmt.Println(server.Addr)

	var paused atomic.Bool
	go func() {
		for range time.Tick(*every) {
			if !paused.Load() {
				ticks.Add(1)
				server.Publish(topic("tick"), []byte("{}"), nil)
			}
		}
	}()
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch word, name, _ := strings.Cut(lines.Text(), " "); word {
		case "pause":
			paused.Store(true)
		case "resume":
			paused.Store(false)
		case "publish":
			server.Publish(topic(name), []byte("{}"), nil)
		}
		if err := answers.Encode(counts{ticks.Load(), delivered.Load(), refused.Load(), dead.Load()}); err != nil {
			log.Fatalf("answering: %v", err)
		}
	}
}
